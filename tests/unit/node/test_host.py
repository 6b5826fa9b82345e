"""Which cgroups of a node are under which policies, in a tree of folders that stands for the hierarchy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.node import host
from bulkhead.node.host import Layout, layout

CONTAINER = "cri-containerd-" + 64 * "a" + ".scope"
POD = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12345678_1234_1234_1234_123456789012.slice"
TREE = ("init.scope", "system.slice/ssh.service", "system.slice/cron.service/child", f"{POD}/{CONTAINER}")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder's inode number stands for a cgroup's id."""
    monkeypatch.setattr(host, "cgroup_id", lambda path: path.stat().st_ino)
    for path in TREE:
        (tmp_path / path).mkdir(parents=True)
    return tmp_path


def laid_out(root: Path, **named: str) -> Layout[str]:
    """Where each policy names one cgroup."""
    return layout(root, lambda path: frozenset(n for n, each in named.items() if each == path), trusted=os.getuid())


def told(found: Layout[str]) -> list[tuple[str, str, bool]]:
    """The units in short."""
    return [(each.path, "".join(sorted(each.policies)), each.alone) for each in found.units]


def test_a_named_cgroup_is_one_unit_with_all_below(root: Path) -> None:
    """A cgroup that is made later is below it already."""
    assert told(laid_out(root, a="/system.slice")) == [("/system.slice", "a", False)]
    assert told(laid_out(root, a="/nowhere")) == []


def test_the_whole_node_is_all_but_the_pods(root: Path) -> None:
    """The root holds them, so it is alone, and comes after those below it."""
    found = laid_out(root, a="/")
    assert told(found) == [("/init.scope", "a", False), ("/system.slice", "a", False), ("/", "a", True)]
    assert found.spared == (root / "kubepods.slice",)


def test_policies_of_one_service_split_its_slice(root: Path) -> None:
    """None is nested in another, and those above hold below."""
    assert told(laid_out(root, a="/system.slice", b="/system.slice/ssh.service")) == [
        ("/system.slice/cron.service", "a", False),
        ("/system.slice/ssh.service", "ab", False),
        ("/system.slice", "a", True),
    ]


def test_containers_outside_of_pods_are_none_of_the_node(root: Path) -> None:
    """Only where root made the cgroup: a user's own may have any name."""
    (root / "system.slice" / CONTAINER).mkdir()
    assert ("/system.slice", "a", True) in told(laid_out(root, a="/system.slice"))
    user = layout(root, lambda path: frozenset("a" if path == "/system.slice" else ""), trusted=os.getuid() + 1)
    assert told(user) == [("/system.slice", "a", False)]


def test_the_agents_own_cgroup_is_spared(root: Path) -> None:
    """Where it is no pod's."""
    own = root / "system.slice/ssh.service"
    found = layout(root, lambda path: frozenset("a"), frozenset({own}), os.getuid())
    assert found.spared == (root / "kubepods.slice", own)
    assert "/system.slice/ssh.service" not in [each.path for each in found.units]
