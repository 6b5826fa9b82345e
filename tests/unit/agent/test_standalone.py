"""Every cgroup of a pattern is a container, but for those that hold the agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.agent.desired import Labels, PolicyFolder
from bulkhead.agent.standalone import CgroupSource
from bulkhead.node import cgroups


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three containers, in one of which the agent runs; folders in place of cgroups."""
    for name in ("a", "b", "agent/inner", "policies"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(cgroups, "mount_point", lambda: tmp_path)
    monkeypatch.setattr(cgroups, "of_process", lambda pid: Path("/agent/inner") if pid == os.getpid() else Path("/"))
    monkeypatch.setattr(cgroups, "cgroup_id", lambda path: path.stat().st_ino)
    monkeypatch.setattr("bulkhead.node.processes.Representatives.of", lambda self, found: {})
    return tmp_path


def _found(tree: Path, pattern: str) -> set[str]:
    source = CgroupSource(PolicyFolder(tree / "policies", Labels()), f"{tree}/{pattern}")
    return {str(assignment.container.cgroup.relative_to(tree)) for assignment in source.read()}


def test_cgroups_that_hold_the_agent_are_left_out(tree: Path) -> None:
    """Its own, those above it, and the root of all; not its neighbours."""
    assert _found(tree, "*") == {"a", "b", "policies"}
    assert _found(tree, "agent/*") == set()
    assert _found(tree, ".") == set()


@pytest.mark.parametrize("own", ["/../outside", "/gone"])
def test_an_agent_that_is_elsewhere_leaves_nothing_out(tree: Path, monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    """It is outside of the cgroup namespace, or its cgroup is not to be seen."""
    monkeypatch.setattr(cgroups, "of_process", lambda _: Path(own))
    assert _found(tree, "a*") == {"a", "agent"}
