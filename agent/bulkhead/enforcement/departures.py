"""The numbers of containers, none of which is given out again while processes live that departed from its container.

A process that was moved out of its container's cgroups goes on being judged by the container's number, which the kernel
keeps on it (probes/depart.bpf.c) and counts. Given out again too early, the number would put it under the policies of
another container. A container that is put under policies again gets its own number back.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from bulkhead import abi
from bulkhead.enforcement.ranges import Numbers
from bulkhead.kernel.maps import Maps, word

_U64 = struct.Struct("<Q")


class Departures:
    """Gives out the indices of the map `containers`."""

    def __init__(self, maps: Maps) -> None:
        self._departed, self._homes = maps["departed"], maps["homes"]
        self._numbers = Numbers("containers under policy on this node", 1, abi.MAX_CONTAINERS)
        self._waiting: dict[int, int] = {}  # by cgroup id: numbers given back whose processes live on

    def take(self, home: int) -> int:
        """A number for the container whose cgroup is given (`Container.home`). Raises `DoesNotFit`."""
        self._sweep()
        index = self._waiting.pop(home, None)
        if index is None:
            index = self._numbers.take()
        self._homes.put(word(index), _U64.pack(home))
        return index

    def hold(self, index: int) -> None:
        """Mark a number as taken that was given out by an earlier process."""
        self._numbers.hold(index)

    def give_back(self, index: int) -> None:
        """Return what `take` gave."""
        if self.departed(index):
            self._waiting[self._home(index)] = index
        else:
            self._numbers.give_back(index)

    def departed(self, index: int) -> int:
        """How many threads live that departed from the container."""
        return _read(self._departed.get(word(index)))

    def adopt(self, held: Collection[int]) -> None:
        """Find the numbers, but for those `held`, that an earlier process could not give out again yet."""
        for key, value in self._departed.items():
            index = int.from_bytes(key, "little")
            if any(value) and index not in held:
                self._numbers.hold(index)
                self._waiting[self._home(index)] = index

    def _home(self, index: int) -> int:
        return _read(self._homes.get(word(index)))

    def _sweep(self) -> None:
        for cgroup_id, index in list(self._waiting.items()):
            if not self.departed(index):
                del self._waiting[cgroup_id]
                self._numbers.give_back(index)


def _read(value: bytes | None) -> int:
    return int(_U64.unpack(value)[0]) if value else 0
