"""An agent that starts while there is no API server enforces what the one before it knew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.agent.cluster.pods import parse_pod
from bulkhead.agent.cluster.state import KINDS, ClusterState
from tests.unit.agent.cluster.objects import broken, pod, policy


def namespace(**labels: str) -> dict[str, object]:
    """The shop."""
    return {"metadata": {"name": "shop", "labels": labels}}


def told(folder: Path, *kinds: str) -> ClusterState:
    """A state that was told these kinds: a policy, a pod, a namespace."""
    objects = {"SecurityPolicy": [policy()], "Pod": [pod()], "Namespace": [namespace(tier="web")]}
    state = ClusterState(folder)
    for kind in kinds:
        state.replace(kind, objects.get(kind, []))
    return state


def test_what_was_told_is_known_at_the_next_start(tmp_path: Path) -> None:
    """Policies, and the labels by which they select; of pods what the runtime says."""
    told(tmp_path, *KINDS)
    state = ClusterState(tmp_path)
    state.announce(parse_pod(pod()), parse_pod(pod()).containers[0])
    snapshot = state.snapshot()
    assert snapshot is not None
    assert [(each.key.name, each.generation) for each in snapshot.policies.all()] == [("no-id", 1)]
    assert snapshot.namespaces == {"shop": {"tier": "web"}}
    assert [each.name for each in snapshot.pods] == ["web-0"]


def test_what_was_told_in_part_is_not_believed_to_be_all(tmp_path: Path) -> None:
    """The agent ended before all was listed: the next one waits for the API server."""
    told(tmp_path, *(KINDS - {"ClusterSecurityPolicy"}))
    assert ClusterState(tmp_path).snapshot() is None


def test_news_take_the_place_of_what_was_kept(tmp_path: Path) -> None:
    """A policy that was removed meanwhile is in force until that is told; then it is gone from the disk, too."""
    told(tmp_path, *KINDS)
    state = ClusterState(tmp_path)
    state.replace("SecurityPolicy", [])
    assert state.snapshot().policies.all() == ()  # type: ignore[union-attr]
    for kind in KINDS - {"SecurityPolicy"}:
        state.replace(kind, [namespace(tier="db")] if kind == "Namespace" else [])
    again = ClusterState(tmp_path).snapshot()
    assert again is not None
    assert (again.policies.all(), again.namespaces) == ((), {"shop": {"tier": "db"}})


def test_changed_labels_are_kept(tmp_path: Path) -> None:
    """Not only those of a list."""
    told(tmp_path, *KINDS).change("Namespace", "MODIFIED", namespace(tier="db"))
    assert ClusterState(tmp_path).snapshot().namespaces == {"shop": {"tier": "db"}}  # type: ignore[union-attr]


def test_the_good_version_is_recalled(tmp_path: Path) -> None:
    """Not the newest one, which is refused."""
    told(tmp_path, *KINDS).change("SecurityPolicy", "MODIFIED", broken())
    assert [each.generation for each in ClusterState(tmp_path).snapshot().policies.all()] == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize("harmed", ["labels", "policies"])
def test_what_is_damaged_is_done_without(tmp_path: Path, harmed: str) -> None:
    """Damaged labels: nothing is recalled. A damaged policy: the others are."""
    told(tmp_path, *KINDS)
    (path,) = (tmp_path / harmed).glob("*.json")
    path.write_bytes(b"{")
    snapshot = ClusterState(tmp_path).snapshot()
    if harmed == "labels":
        assert snapshot is None
    else:
        assert snapshot is not None
        assert snapshot.policies.all() == ()


def test_a_full_disk_keeps_nobody_from_enforcing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged; what was kept before stays."""
    state = told(tmp_path, *KINDS)

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("bulkhead.agent.cluster.sealed.write_whole", full)
    state.change("Namespace", "MODIFIED", namespace(tier="db"))
    state.change("SecurityPolicy", "MODIFIED", policy(generation=2))
    snapshot = state.snapshot()
    assert snapshot is not None
    assert snapshot.namespaces == {"shop": {"tier": "db"}}
    assert [each.generation for each in snapshot.policies.all()] == [2]
    assert ClusterState(tmp_path).snapshot().namespaces == {"shop": {"tier": "web"}}  # type: ignore[union-attr]
