"""The policy sets that the kernel holds: each stored once, for as long as a container uses it.

A set is written completely before any container's ruling points at it, and its room is given back only when no
program can still be reading it. Next step: `enforcement.enforcer` points containers at sets.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from bulkhead import abi
from bulkhead.enforcement import placement as place
from bulkhead.enforcement.placement import Placement
from bulkhead.enforcement.ranges import Numbers, Ranges
from bulkhead.errors import KernelUnable
from bulkhead.kernel.maps import Map, Maps
from bulkhead.policy.image import SetImage
from bulkhead.policy.rules import RuleReference

_MEMBARRIER = 324  # on x86-64; elsewhere the generic system call table
_MEMBARRIER_GENERIC = 283
_MEMBARRIER_GLOBAL = 1


@dataclass
class StoredSet:
    """A set in the maps. `keys` are the network entries, to remove them later; `users` counts containers."""

    digest: str
    placement: Placement
    rules: tuple[RuleReference, ...]
    prefix_keys: tuple[bytes, ...]
    port_keys: tuple[bytes, ...]
    users: int = 0


@dataclass
class _Room:
    """What is free in the maps that sets share."""

    ids: Numbers = field(default_factory=lambda: Numbers("policy sets on this node", 1, abi.MAX_SETS))
    arena: Ranges = field(default_factory=lambda: Ranges("slots of path automata", 1, abi.ARENA_SLOTS - abi.ARENA_TAIL))
    outcomes: Ranges = field(default_factory=lambda: Ranges("outcomes of path automata", 1, abi.MAX_OUTCOMES))
    classes: Ranges = field(default_factory=lambda: Ranges("classes of network peers", 1, 1 << 31))

    def take(self, image: SetImage) -> Placement:
        """Room for an image, all of it or none."""
        slots, outcomes, classes = place.sizes(image)
        with contextlib.ExitStack() as undo:
            arena = self._take_range(undo, self.arena, slots)
            outcome = self._take_range(undo, self.outcomes, outcomes)
            peer_class = self._take_range(undo, self.classes, classes)
            subjects = len(image.subjects)
            set_id = self.ids.take(subjects)
            placed = Placement(set_id, arena, slots, outcome, outcomes, peer_class, classes, subjects)
            undo.pop_all()
        return placed

    def _take_range(self, undo: contextlib.ExitStack, ranges: Ranges, count: int) -> int:
        start = ranges.take(count)
        undo.callback(ranges.give_back, start, count)
        return start

    def hold(self, placed: Placement) -> None:
        """Mark what an earlier process had taken."""
        self.ids.hold(placed.set_id, placed.subjects)
        for ranges, start, count in self._parts(placed):
            ranges.hold(start, count)

    def give_back(self, placed: Placement) -> None:
        """Free it all."""
        self.ids.give_back(placed.set_id, placed.subjects)
        for ranges, start, count in self._parts(placed):
            ranges.give_back(start, count)

    def _parts(self, placed: Placement) -> tuple[tuple[Ranges, int, int], ...]:
        return (
            (self.arena, placed.arena, placed.slots),
            (self.outcomes, placed.outcome, placed.outcomes),
            (self.classes, placed.peer_class, placed.classes),
        )


class Sets:
    """Stores images in the maps and finds them again by digest."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps
        self._room = _Room()
        self._by_digest: dict[str, StoredSet] = {}
        self._by_id: dict[int, StoredSet] = {}

    def use(self, image: SetImage) -> StoredSet:
        """The stored set for an image, one user more. Raises `DoesNotFit` before anything is written."""
        stored = self._by_digest.get(image.digest)
        if stored is None:
            stored = self._store(image)
        stored.users += 1
        return stored

    def release(self, stored: StoredSet) -> None:
        """One user less; without users the set is removed.

        No ruling may have pointed at it since the last `wait_for_programs`: no running program sees it then.
        """
        stored.users -= 1
        if stored.users:
            return
        del self._by_digest[stored.digest]  # but its number goes on to be known until it is used again
        _remove(self._maps["prefixes"], stored.prefix_keys)
        _remove(self._maps["ports"], stored.port_keys)
        self._room.give_back(stored.placement)

    def adopt(self, stored: StoredSet) -> None:
        """Take over a set that an earlier process stored; `users` counts from 0 again."""
        stored.users = 0
        self._room.hold(stored.placement)
        self._by_digest[stored.digest] = stored
        self._by_id[stored.placement.set_id] = stored

    def discard_unused(self) -> None:
        """Remove adopted sets that no container uses."""
        wait_for_programs()
        for stored in [each for each in self._by_digest.values() if each.users == 0]:
            stored.users = 1
            self.release(stored)

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """Rule `number` (from 1) of a set."""
        stored = self._by_id.get(set_id)
        return stored.rules[number - 1] if stored and 0 < number <= len(stored.rules) else None

    def _store(self, image: SetImage) -> StoredSet:
        placed = self._room.take(image)
        prefixes, ports = place.place_prefixes(image, placed), place.place_ports(image, placed)
        prefix_keys, port_keys = tuple(key for key, _ in prefixes), tuple(key for key, _ in ports)
        with contextlib.ExitStack() as undo:
            undo.callback(self._room.give_back, placed)
            undo.callback(_remove, self._maps["ports"], port_keys)
            undo.callback(_remove, self._maps["prefixes"], prefix_keys)
            self._write(image, placed, prefixes, ports)
            undo.pop_all()
        stored = StoredSet(image.digest, placed, image.rules, prefix_keys, port_keys)
        self._by_digest[image.digest] = self._by_id[placed.set_id] = stored
        return stored

    def _write(
        self, image: SetImage, placed: Placement, prefixes: list[tuple[bytes, bytes]], ports: list[tuple[bytes, bytes]]
    ) -> None:
        slots = place.place_slots(image, placed)
        self._maps["arena"].store(placed.arena * place.SLOT_BYTES, slots)
        _put(self._maps["outcomes"], place.place_outcomes(image, placed))
        _put(self._maps["ports"], ports)
        _put(self._maps["prefixes"], prefixes)
        _put(self._maps["sets"], place.place_set(image, placed))


def _put(target: Map, entries: Iterable[tuple[bytes, bytes]]) -> None:
    for key, value in entries:
        target.put(key, value)


def _remove(target: Map, keys: Iterable[bytes]) -> None:
    for key in keys:
        target.remove(key)


def wait_for_programs() -> None:
    """Return when every program that was running has ended: an RCU grace period, by membarrier(2)."""
    number = _MEMBARRIER if os.uname().machine == "x86_64" else _MEMBARRIER_GENERIC
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _MEMBARRIER_GLOBAL, 0, 0) != 0:
        raise KernelUnable(f"membarrier: {os.strerror(ctypes.get_errno())}; the replaced policy set stays in memory")
