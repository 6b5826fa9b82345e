"""What was answered about a pod is kept, until something that the answer depends on changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bulkhead.agent.cluster import selection
from bulkhead.agent.cluster.pods import Pod
from bulkhead.agent.cluster.selection import Selection
from bulkhead.agent.cluster.state import ClusterState
from tests.unit.agent.cluster.objects import cluster_policy, pod, policy

UIDS = [f"0f3a5e0c-8f6c-4a53-9b69-0d4d8a1c2b{number:02x}" for number in range(3)]


def made(number: int, **more: Any) -> dict[str, Any]:
    """A pod of the namespace shop, the last one of another."""
    namespace = "other" if number == 2 else "shop"
    return pod(f"web-{number}", uid=UIDS[number], namespace=namespace, containers={"web": f"{number}" * 64}, **more)


@pytest.fixture
def state(tmp_path: Path) -> ClusterState:
    """Three pods, of which a policy selects two."""
    known = ClusterState(tmp_path / "kept")
    known.replace("Pod", [made(number) for number in range(3)])
    known.replace("SecurityPolicy", [policy()])
    known.replace("ClusterSecurityPolicy", [])
    known.replace("Namespace", [{"metadata": {"name": name, "labels": {"tier": "back"}}} for name in ("shop", "other")])
    known.replace("Node", [{"metadata": {"name": "vm0", "labels": {}}}])
    return known


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pods about which policies are asked, as they are."""
    names: list[str] = []
    answers = selection._answers

    def asking(snapshot: Any, about: Pod) -> Any:
        names.append(about.name)
        return answers(snapshot, about)

    monkeypatch.setattr(selection, "_answers", asking)
    return names


def look(kept: Selection, state: ClusterState, asked: list[str]) -> tuple[list[str], list[str]]:
    """The pods that were asked about, and what is selected: just what is when nothing is kept."""
    snapshot = state.snapshot()
    assert snapshot is not None
    asked.clear()
    found = kept.of(snapshot, snapshot.pods, {})
    again = list(asked)
    assert found == Selection().of(snapshot, snapshot.pods, {})
    return again, [each.title for each in found]


CHANGES: dict[str, tuple[Callable[[ClusterState], None], list[str], list[str]]] = {
    "nothing": (lambda state: None, [], ["shop/web-0/web", "shop/web-1/web"]),
    "labels of a pod": (
        lambda state: state.change("Pod", "MODIFIED", made(0, labels={"app": "db"})),
        ["web-0"],
        ["shop/web-1/web"],
    ),
    "a policy of a namespace": (
        lambda state: state.change("SecurityPolicy", "MODIFIED", policy(generation=2, containers=["none"])),
        ["web-0", "web-1"],
        [],
    ),
    "a policy of all": (
        lambda state: state.change("ClusterSecurityPolicy", "ADDED", cluster_policy()),
        ["web-0", "web-1", "web-2"],
        ["shop/web-0/web", "shop/web-1/web"],
    ),
    "labels of a namespace": (
        lambda state: state.change("Namespace", "MODIFIED", {"metadata": {"name": "other", "labels": {"tier": "x"}}}),
        ["web-2"],
        ["shop/web-0/web", "shop/web-1/web"],
    ),
    "labels of the node": (
        lambda state: state.change("Node", "MODIFIED", {"metadata": {"name": "vm0", "labels": {"zone": "a"}}}),
        ["web-0", "web-1", "web-2"],
        ["shop/web-0/web", "shop/web-1/web"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_those_are_asked_again_about_whom_something_changed(state: ClusterState, asked: list[str], name: str) -> None:
    """And nobody else; what comes of it is what comes of asking everybody."""
    change, again, then = CHANGES[name]
    kept = Selection()
    look(kept, state, asked)
    change(state)
    assert look(kept, state, asked) == (again, then)


def test_what_was_not_known_is_asked_each_time(state: ClusterState, asked: list[str]) -> None:
    """It depends on what held before."""
    state.replace("Namespace", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy())
    kept = Selection()
    for _ in range(2):
        assert look(kept, state, asked)[0] == ["web-0", "web-1", "web-2"]
