"""What the maps should hold of a container is written again: an act that is denied is denied once more."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from bulkhead.enforcement.bindings import Bindings
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.test_moves import index_of

DENIED = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: [/usr/bin/id]}]
  network:
    egress:
      rules: [{name: n, action: Deny, to: [{cidr: 192.0.2.0/24}]}]
""")


def lose_ruling(bench: Bench, box: Box) -> None:
    """Nothing is known of the container."""
    homes = bench.instance.maps["homes"].items()
    (index,) = (key for key, value in homes if value == struct.pack("<Q", box.cgroup.id))
    bench.instance.maps["containers"].put(index, bytes(8))


def lose_binding(bench: Bench, box: Box) -> None:
    """The kernel had no memory to bind the cgroup."""
    instance = bench.instance
    child = box.cgroup.path / "child"
    bindings = Bindings(instance.maps["bindings"], instance.bundle.parameters)
    bindings.unbind(Container("child", child, cgroups.cgroup_id(child)), index_of(bench, box))


@pytest.mark.parametrize(("lose", "name"), [(lose_ruling, "containers"), (lose_binding, "bindings")])
def test_what_was_lost_is_written_again(bench: Bench, lose: Callable[[Bench, Box], None], name: str) -> None:
    """Once; a node that is as it should be is not written to."""
    with bench.box(DENIED) as box:
        child = cgroups.create(box.cgroup.path / "child").path
        assert bench.enforcer.repair() == {}
        assert box.run("/usr/bin/id", cgroup=child).denied
        lose(bench, box)
        assert box.run("/usr/bin/id", cgroup=child).status == 0
        assert bench.enforcer.repair() == {name: 1}
        assert box.run("/usr/bin/id", cgroup=child).denied
        assert bench.enforcer.repair() == {}
