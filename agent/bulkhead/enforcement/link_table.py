"""The map `links`: for each file of which a rule covers one of several names, the state after all of its covered names.

What `enforcement.hard_links` finds is written here, under the epoch of the ruling that it is for, before the ruling is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bulkhead import abi
from bulkhead.enforcement.hard_links import Linked
from bulkhead.enforcement.sightings import Paths, groups
from bulkhead.kernel.maps import Map, pack, word
from bulkhead.node.mounts import device_number


def groups_with(paths: Paths, linked: Linked) -> tuple[frozenset[bytes], ...]:
    """`sightings.groups`, and the names of each file that has several covered ones."""
    several = {names for names in linked.values() if len(names) > 1}
    return tuple(sorted(several.union(groups(paths)), key=sorted))


def link_key(epoch: int, device: tuple[int, int], inode: int) -> abi.LinkKey:
    """The key of an inode of a file system, whose device is (major, minor)."""
    return abi.LinkKey(epoch=epoch, device=device_number(device), inode=inode)


class LinkTable:
    """Writes and removes the links of an epoch."""

    def __init__(self, links: Map) -> None:
        self._links = links

    def write(self, epoch: int, linked: Linked, states: Mapping[frozenset[bytes], int]) -> None:
        """`states` has the state of each set of names, placed. Raises `DoesNotFit` where the map is full."""
        for (device, inode), names in linked.items():
            self._links.put(pack(link_key(epoch, device, inode)), word(states[names]))

    def remove(self, epoch: int) -> None:
        """All of an epoch."""
        self._remove([key for key in self._links if _epoch_of(key) == epoch])

    def keep_only(self, epochs: Collection[int]) -> None:
        """Remove those of other epochs."""
        self._remove([key for key in self._links if _epoch_of(key) not in epochs])

    def _remove(self, keys: list[bytes]) -> None:
        for key in keys:
            self._links.remove(key)


def _epoch_of(key: bytes) -> int:
    return int(abi.LinkKey.from_buffer_copy(key).epoch)
