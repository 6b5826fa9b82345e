"""bulkhead.node.container."""

from __future__ import annotations

from pathlib import Path

from bulkhead.node.container import Container


def test_container_can_be_a_key() -> None:
    """Containers are compared by value and serve as keys, labels and all."""
    one = Container("web", Path("/sys/fs/cgroup/web"), 7, labels={"app": "web"})
    same = Container("web", Path("/sys/fs/cgroup/web"), 7, labels={"app": "web"})
    other = Container("web", Path("/sys/fs/cgroup/web"), 8, labels={"app": "web"})
    assert {one: 1}[same] == 1
    assert one != other
