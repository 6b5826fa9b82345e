"""Whether a pod's containers are under their policies: yes only where that is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from bulkhead.cli.status import columns, show_pod
from bulkhead.cli.status_pod import answers, ask
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.policy_key import PolicyKey
from tests.unit.agent.cluster.objects import broken, cluster_policy, pod, policy
from tests.unit.controller.objects import node, node_state, row

OURS = "/apis/bulkhead.dev/v1alpha1"


class Objects:
    """An API server that has some objects."""

    def __init__(self, **replaced: Any) -> None:
        value = pod(containers={"web": "a" * 64, "side": "b" * 64})
        self.objects: dict[str, Any] = {
            "/api/v1/namespaces/shop/pods/web-0": {**value, "spec": {"nodeName": "a"}},
            "/api/v1/namespaces/shop": {"metadata": {"name": "shop"}},
            f"{OURS}/namespaces/shop/securitypolicies": {"items": [replaced.get("policy", policy(containers=["web"]))]},
            f"{OURS}/clustersecuritypolicies": {"items": replaced.get("cluster_policies", [])},
            "/api/v1/nodes/a": replaced.get("node", node()),
            f"{OURS}/nodestates/a": replaced.get("state", node_state("a", row())),
        }

    def get(self, path: str) -> Mapping[str, Any]:
        """As `Api`."""
        if self.objects.get(path) is None:
            raise NotFound(path, 404)
        return cast(Mapping[str, Any], self.objects[path])


def said(**replaced: Any) -> str:
    """Of the container web."""
    found = {each.container: each for each in answers(ask(cast(Api, Objects(**replaced)), "shop", "web-0"))}
    return found["web"].enforced


def test_a_container_under_its_policies_is() -> None:
    """At the newest generation, on all of the node's containers that the policy selects; another one is under none."""
    assert said() == "yes"
    found = {each.container: each for each in answers(ask(cast(Api, Objects()), "shop", "web-0"))}
    assert found["side"].enforced == "no policy selects it"


@pytest.mark.parametrize(
    ("replaced", "answer"),
    [
        ({"state": node_state("a")}, "no: the agent on a does not say so (yet)"),
        ({"state": None}, "no: the agent on a does not say so (yet)"),
        ({"state": node_state("a", row(), boot="old")}, "no: the node was booted anew"),
        ({"policy": policy(generation=2, containers=["web"])}, "no: generation 2 is not in force yet"),
        ({"policy": broken()}, "unknown: its newest generation is refused"),
        ({"state": node_state("a", row(selected=2))}, "unknown: 1 of 2 containers on a are under it"),
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
    api = Objects(policy=policy(containers=["none"]), cluster_policies=[selecting], node=host, state=state)
    found = {(each.container, each.policy): each.enforced for each in answers(ask(cast(Api, api), "shop", "web-0"))}
    assert found.get(("web", "front")) == answer


def test_the_exit_status_is_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """0 only where every container is under what selects it; the table has a row each."""
    assert show_pod(cast(Api, Objects()), "shop/web-0", "text") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["CONTAINER", "POLICY", "GENERATION", "ENFORCED", "SINCE"]
    assert lines[1].split() == ["web", "shop/no-id", "1", "yes", "T"]
    assert show_pod(cast(Api, Objects(state=None)), "shop/web-0", "json") == 1


def test_columns_stand_below_each_other() -> None:
    """Whatever the cells."""
    assert list(columns([("A", "B"), ("long", "x")])) == ["A     B", "long  x"]
