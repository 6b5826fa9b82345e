"""Whether a pod's containers are under their policies: yes only where that is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulkhead.cli.cluster_options import Scope
from bulkhead.cli.status_pods import Answer, Asking, answers, show_pods
from bulkhead.cli.tables import columns
from bulkhead.errors import UsageError
from bulkhead.kube.policy_key import PolicyKey
from tests.unit.agent.cluster.objects import broken, cluster_policy, pod, policy
from tests.unit.cli.objects import Objects
from tests.unit.controller.objects import node, node_state, row

SHOP = Scope("shop")
OURS = "/apis/bulkhead.dev/v1alpha1"


def objects(**replaced: Any) -> Objects:
    """A pod web-0 with containers web and side, on node a, and a policy for the first."""
    value = {**pod(containers={"web": "a" * 64, "side": "b" * 64}), "spec": {"nodeName": "a"}}
    return Objects(
        {
            "/api/v1/namespaces/shop/pods/web-0": value,
            "/api/v1/namespaces/shop/pods": {"items": [value]},
            "/api/v1/pods": {"items": [value, {**value, "metadata": {**value["metadata"], "name": "web-1"}}]},
            "/api/v1/namespaces/shop": {"metadata": {"name": "shop"}},
            f"{OURS}/namespaces/shop/securitypolicies": {"items": [replaced.get("policy", policy(containers=["web"]))]},
            f"{OURS}/clustersecuritypolicies": {"items": replaced.get("cluster_policies", [])},
            "/api/v1/nodes/a": replaced.get("node", node()),
            f"{OURS}/nodestates/a": replaced.get("state", node_state("a", row())),
        }
    )


def answered(**replaced: Any) -> list[Answer]:
    """Of all its containers."""
    asking = Asking(objects(**replaced).api)
    return [answer for value in asking.pods(SHOP, "web-0") for answer in answers(asking.about(value))]


def said(**replaced: Any) -> str:
    """Of the container web."""
    return next(each.enforced for each in answered(**replaced) if each.container == "web")


def test_a_container_under_its_policies_is() -> None:
    """At the newest generation, on all of the node's containers that the policy selects; another one is under none."""
    assert {each.container: each.enforced for each in answered()} == {"web": "yes", "side": "no policy selects it"}


@pytest.mark.parametrize(
    ("replaced", "answer"),
    [
        ({"state": node_state("a")}, "no: the agent on a does not say so (yet)"),
        ({"state": None}, "no: the agent on a does not say so (yet)"),
        ({"state": node_state("a", row(), boot="old")}, "no: the node was booted anew"),
        ({"policy": policy(generation=2, containers=["web"])}, "no: generation 2 is not in force yet"),
        ({"policy": broken()}, "unknown: its newest generation is refused"),
        ({"state": node_state("a", row(selected=2))}, "unknown: 1 of 2 containers on a are under it"),
        ({"state": node_state("a", row(selected=2), behind=("bank/db-0/db",))}, "yes"),
        ({"state": node_state("a", row(selected=2), behind=("shop/web-0/web",))}, "no: it is not under all"),
        ({"state": node_state("a", row(selected=2), behind=("bank/db-0/db",) * 100)}, "unknown: 1 of 2"),
        (
            {"state": node_state("a", row(selected=2), failures={"shop/web-0/web": "states: 2 needed"})},
            "no: states: 2 needed",
        ),
    ],
)
def test_what_is_not_known_is_not_yes(replaced: dict[str, Any], answer: str) -> None:
    """And it says why."""
    assert said(**replaced).startswith(answer)


@pytest.mark.parametrize(
    ("labels", "answer"),
    [({"zone": "a"}, "yes"), ({"zone": "b"}, None), (None, "no: the labels of this node are not known yet")],
)
def test_a_policy_of_other_nodes_is_not_spoken_of(labels: dict[str, str] | None, answer: str | None) -> None:
    """The labels of the pod's node decide, and where there is no Node, what its agent says."""
    selecting = cluster_policy(namespaceSelector={}, nodeSelector={"matchLabels": {"zone": "a"}})
    host = {**node(), "metadata": {"name": "a", "labels": labels}} if labels else None
    key = PolicyKey("ClusterSecurityPolicy", "", "front")
    failures = {} if labels else {"shop/web-0/web": "the labels of this node are not known yet"}
    state = node_state("a", row(key=key), failures=failures)
    made = answered(policy=policy(containers=["none"]), cluster_policies=[selecting], node=host, state=state)
    found = {(each.container, each.policy): each.enforced for each in made}
    assert found.get(("web", "front")) == answer


def test_the_exit_status_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """0 only where every container is under what selects it; the table has a row each."""
    assert show_pods(objects().api, SHOP, "web-0", "table") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["POD", "CONTAINER", "POLICY", "GENERATION", "ENFORCED", "SINCE"]
    assert lines[1].split() == ["web-0", "web", "shop/no-id", "1", "yes", "T"]
    assert show_pods(objects(state=None).api, SHOP, "web-0", "json") == 1
    listed = json.loads(capsys.readouterr().out)
    assert (listed["kind"], [each["container"] for each in listed["items"]]) == ("List", ["web", "side"])


def test_pods_are_chosen_as_kubectl_chooses_them(capsys: pytest.CaptureFixture[str]) -> None:
    """By labels, which the API server compares; in all namespaces with the namespace in front; each asked once."""
    found = objects()
    assert show_pods(found.api, Scope("", "app=web"), "", "wide") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0].split()[0], lines[0].split()[-1]) == ("NAMESPACE", "NODE")
    assert [line.split()[:3] for line in lines[1:]] == [
        ["shop", name, container] for name in ("web-0", "web-1") for container in ("web", "side")
    ]
    assert found.asked[0] == ("/api/v1/pods", {"labelSelector": "app=web"})
    assert len(found.asked) == len({path for path, _ in found.asked})
    show_pods(found.api, Scope("", "app=web"), "", "name")
    assert capsys.readouterr().out.splitlines() == ["pod/web-0", "pod/web-1"]


def test_a_pod_is_of_one_namespace(capsys: pytest.CaptureFixture[str]) -> None:
    """NAMESPACE/NAME goes before -n; a name alone with -A is nobody's; no pod at all is not yes."""
    assert show_pods(objects().api, Scope("bank"), "shop/web-0", "table") == 0
    with pytest.raises(UsageError, match="write NAMESPACE/web-0, or -n"):
        show_pods(objects().api, Scope(""), "web-0", "table")
    none = Objects({"/api/v1/namespaces/bank/pods": {"items": []}})
    capsys.readouterr()
    assert show_pods(none.api, Scope("bank", "app=web"), "", "table") == 1
    assert "no pods in namespace bank with labels app=web: -n names another" in capsys.readouterr().out


def test_columns_stand_below_each_other() -> None:
    """Whatever the cells."""
    assert list(columns([("A", "B"), ("long", "x")])) == ["A     B", "long  x"]
