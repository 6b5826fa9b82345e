"""What the kernel's maps say of containers, against what they should: what differs is written again, and counted.

Nobody else should write there. Yet the kernel may have had no memory to bind a cgroup as it was made, and an
administrator may have been at the maps. Looked at are the words by which a process is found to be in a container and
the container to be under a set; what a set says is not read back. Next step: `agent.drift`, which asks for it.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bulkhead import abi
from bulkhead.enforcement.bindings import Bindings
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.maps import Maps, pack, word
from bulkhead.node import cgroups
from bulkhead.node.container import Container

MAPS = ("containers", "homes", "bindings", "network")  # which are looked at

_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Expected:
    """A container under a set: its number, its ruling as the kernel reads it, whether its packets are judged."""

    container: Container
    index: int
    ruling: int
    has_network: bool


def repair(maps: Maps, bindings: Bindings, expected: Sequence[Expected]) -> Counter[str]:
    """How many entries were written again, by map. Raises `KernelUnable`, `DoesNotFit`.

    A cgroup below a container's that is another container's own is looked at with that one.
    """
    written: Counter[str] = Counter()
    own = {each.container.cgroup for each in expected}
    for each in expected:
        for name, value in (("homes", each.container.home), ("containers", each.ruling)):
            if maps[name].get(word(each.index)) != _U64.pack(value):
                maps[name].put(word(each.index), _U64.pack(value))
                written[name] += 1
        if _is_there(each):
            written["bindings"] += bindings.mend(each.container, each.index, own)
            written["network"] += each.has_network and _mend_network(maps, each)
    return +written


def _is_there(each: Expected) -> bool:
    """Whether the cgroup at the path is still the one that was bound."""
    try:
        return cgroups.cgroup_id(each.container.cgroup) == each.container.cgroup_id
    except NotEnforceable:
        return False


def _mend_network(maps: Maps, each: Expected) -> bool:
    """Whose packets the cgroup's programs judge; what they have counted stays."""
    key = _U64.pack(each.container.cgroup_id)
    raw = maps["network"].get(key)
    if raw is None:
        return False
    state = abi.NetworkState.from_buffer_copy(raw)
    if state.container == each.index:
        return False
    state.container = each.index
    maps["network"].put(key, pack(state))
    return True
