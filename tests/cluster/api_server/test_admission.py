"""With the chart's rights and its admission policy, on a real API server: each program may what it needs, and no more.

Tokens are those that pods are given: bound to a pod, and by that to a node.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.watching import Watching
from bulkhead.kube.client import MERGE_TYPE, Api, connect
from bulkhead.kube.conditions import find
from bulkhead.kube.errors import ApiRefused, Forbidden
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import apply, apply_status, collection_path, object_path
from bulkhead.policy.model import API_VERSION
from tests.cluster.chart.objects import NAMESPACE, Render
from tests.cluster.waiting import await_true
from tools.cluster import credentials
from tools.cluster.credentials import Credentials, Identity

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PLACES = {
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "Role": f"{RBAC}/namespaces/{NAMESPACE}/roles",
    "RoleBinding": f"{RBAC}/namespaces/{NAMESPACE}/rolebindings",
    "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
}


@pytest.fixture(scope="module")
def chart(api: Api, render: Render) -> None:
    """The chart's accounts, rights and policies, and three nodes."""
    ensure_namespace(api)
    for (kind, _), found in render().items():
        if kind in PLACES and "helm.sh/hook" not in found["metadata"].get("annotations", {}):
            api.post(PLACES[kind], found)
    for node in ("one", "two"):
        api.post(collection_path("Node"), {"metadata": {"name": node}})


def ensure_namespace(api: Api) -> None:
    """The release's."""
    names = {each["metadata"]["name"] for each in api.get(collection_path("Namespace"))["items"]}
    if NAMESPACE not in names:
        api.post(collection_path("Namespace"), {"metadata": {"name": NAMESPACE}})


@pytest.fixture(scope="module")
def kubeconfig_of(
    api: Api, chart: None, identities: Credentials, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """A kubeconfig of a component's pod on a node; of its account alone where there is no node."""
    folder = tmp_path_factory.mktemp("tokens")

    def made(component: str, node: str = "") -> Path:
        account = f"bulkhead-{component}"
        spec: dict[str, Any] = {"expirationSeconds": 3_600}
        if node:
            pod = {
                "metadata": {"name": f"{component}-{node}"},
                "spec": {
                    "serviceAccountName": account, "nodeName": node, "containers": [{"name": "x", "image": "x"}],
                },
            }  # fmt: skip
            uid = api.post(collection_path("Pod", NAMESPACE), pod)["metadata"]["uid"]
            spec["boundObjectRef"] = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": uid}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        token = api.post(f"{PLACES['ServiceAccount']}/{account}/token", asked)["status"]["token"]
        path = folder / f"{component}-{node}.kubeconfig"
        path.write_text(credentials.kubeconfig(Identity(account, account), token, identities.authority.read_bytes()))
        return path

    return made


def tell(api: Api, node: str) -> None:
    """As the agent on that node does."""
    path = object_path("NodeState", "", node)
    body = {"apiVersion": API_VERSION, "kind": "NodeState", "metadata": {"name": node}}
    apply(api, path, body)
    apply_status(api, path, {**body, "status": {"agentVersion": "0", "kernel": "6.12", "bootId": "x"}})


def refusal_of(api: Api, node: str) -> str:
    """What the API server says against it; empty where it takes it."""
    try:
        tell(api, node)
    except Forbidden as error:
        return str(error)
    return ""


def test_an_agent_writes_its_own_nodestate_and_no_other(api: Api, kubeconfig_of: Callable[..., Path]) -> None:
    """Neither makes another node's nor changes one that is there; whoever may otherwise is not touched by it."""
    agent = connect(Choice(kubeconfig_of("agent", "one")))
    await_true(lambda: refusal_of(agent, "two") != "", "the admission policy is not in force")
    assert "an agent on node one writes the NodeState of that node only, not of two" in refusal_of(agent, "two")
    assert refusal_of(agent, "one") == ""
    tell(api, "two")
    assert "not of two" in refusal_of(agent, "two")
    assert refusal_of(agent, "one") == ""
    assert refusal_of(connect(Choice(kubeconfig_of("agent", "two"))), "two") == ""


def test_a_token_of_no_node_writes_none(kubeconfig_of: Callable[..., Path]) -> None:
    """The account's own token, as somebody with rights on it could ask for."""
    stray = connect(Choice(kubeconfig_of("agent")))
    await_true(lambda: "bound to no node" in refusal_of(stray, "one"), "a token without a node writes a NodeState")


def test_an_agent_writes_nothing_of_policies(api: Api, kubeconfig_of: Callable[..., Path]) -> None:
    """Nor may it read Secrets or delete anything of ours."""
    policy = {
        "apiVersion": API_VERSION, "kind": "SecurityPolicy", "metadata": {"name": "theirs"},
        "spec": {"exec": {"default": "Deny"}},
    }  # fmt: skip
    api.post(collection_path("SecurityPolicy", "default"), policy)
    path = object_path("SecurityPolicy", "default", "theirs")
    agent = connect(Choice(kubeconfig_of("agent")))
    assert agent.get(path)["metadata"]["name"] == "theirs"
    for refused in (
        lambda: apply_status(agent, path, {**policy, "status": {"observedGeneration": 1}}),
        lambda: agent.delete(path),
        lambda: agent.delete(object_path("NodeState", "", "one")),
        lambda: agent.get(collection_path("Secret", NAMESPACE)),
    ):
        with pytest.raises(ApiRefused) as refusal:
            refused()
        assert refusal.value.status == 403


def label(api: Api, kind: str, name: str, value: str) -> None:
    """Set the label tier of a namespace or a node."""
    api.patch(object_path(kind, "", name), {"metadata": {"labels": {"tier": value}}}, MERGE_TYPE)


def test_an_agent_hears_by_what_policies_select(api: Api, kubeconfig_of: Callable[..., Path], tmp_path: Path) -> None:
    """With its rights it is told all that it needs; of nodes it hears of its own, which it cannot change."""
    agent, state = connect(Choice(kubeconfig_of("agent"))), ClusterState(tmp_path / "accepted")
    watching = Watching(agent, state, "one")
    threads = [threading.Thread(target=run) for run in watching.tasks().values()]
    for thread in threads:
        thread.start()
    try:
        await_true(lambda: state.snapshot() is not None, "something that an agent watches is not told to it")
        label(api, "Node", "two", "back")
        label(api, "Node", "one", "front")
        label(api, "Namespace", "default", "front")
        await_true(lambda: (labels_of(state).get("default") or {}).get("tier") == "front", "a namespace's label")
        await_true(lambda: (labels_of(state).get("") or {}).get("tier") == "front", "the node's label is not told")
    finally:
        watching.stop()
        for thread in threads:
            thread.join()
    with pytest.raises(Forbidden):
        label(agent, "Node", "one", "back")


def labels_of(state: ClusterState) -> dict[str, Mapping[str, str] | None]:
    """What an agent knows of namespaces, and of its node under the empty name."""
    snapshot = state.snapshot()
    return {**snapshot.namespaces, "": snapshot.node} if snapshot else {}


def test_the_controllers_rights_are_enough(api: Api, kubeconfig_of: Callable[..., Path]) -> None:
    """It is elected and writes a status with what the chart gives it; it may not write a NodeState."""
    kubeconfig = kubeconfig_of("controller", "one")
    selector = "app.kubernetes.io/instance=bulkhead,app.kubernetes.io/component=agent"
    command = [
        sys.executable, "-m", "bulkhead", "controller", "--kubeconfig", str(kubeconfig), "--agents", selector,
        "--namespace", NAMESPACE, "--lease", "bulkhead-controller",
    ]  # fmt: skip
    refused = {
        "apiVersion": API_VERSION, "kind": "SecurityPolicy", "metadata": {"name": "refused"},
        "spec": {"exec": {"rules": [{"action": "Deny", "paths": [f"/{'x' * 256}"]}]}},
    }  # fmt: skip
    running = subprocess.Popen(command)
    try:
        api.post(collection_path("SecurityPolicy", "default"), refused)
        path = object_path("SecurityPolicy", "default", "refused")
        await_true(
            lambda: (
                find((api.get(path).get("status") or {}).get("conditions") or (), "Accepted").get("status") == "False"
            ),
            "no status is written",
        )
        events = collection_path("Event", "default")
        await_true(
            lambda: any("255 bytes" in each.get("note", "") for each in api.get(events)["items"]), "no event is told"
        )
    finally:
        running.kill()
        running.wait()
    with pytest.raises(Forbidden):
        tell(connect(Choice(kubeconfig)), "one")
