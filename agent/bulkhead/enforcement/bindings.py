"""Which container a cgroup belongs to, in the kernel: the container's cgroup and all below it.

Top down: a child made after its parent was bound inherits in the kernel, one made before is found here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection, Container, Iterable
from pathlib import Path

from bulkhead.kernel.maps import Map, word
from bulkhead.kernel.plan import Parameters
from bulkhead.node import cgroups, container


class Bindings:
    """Binds cgroups, by descriptor where the kernel keeps the binding on the cgroup, else by id."""

    def __init__(self, bindings: Map, parameters: Parameters) -> None:
        self._map = bindings
        self._by_descriptor = parameters.cgroup_storage

    def bind(self, bound: container.Container, index: int) -> None:
        """Bind a container's cgroup and its descendants to the container's index."""
        for path in _covered(bound):
            self._with_key(path, lambda key: self._put(key, index))

    def unbind(self, bound: container.Container, index: int) -> None:
        """Undo `bind`, and what was inherited since; what is others' stays so. Also fine where the cgroup is gone."""
        if bound.cgroup.is_dir():
            self._remove(cgroups.walk(bound.cgroup), {word(index)})

    def spare(self, path: Path, indices: Iterable[int]) -> None:
        """A cgroup that inherited one of these containers, and is not of it, is free with all below it."""
        values = set(map(word, indices))
        found: list[bool] = []
        self._with_key(path, lambda key: found.append(self._map.get(key) in values))
        if any(found):
            self._remove(cgroups.walk(path), values)

    def mend(self, bound: container.Container, index: int, others: Collection[Path]) -> int:
        """Bind those that are not bound as `bind` does it; how many. Not `others`, which are bound for themselves."""
        wrong: list[bool] = []

        def act(key: bytes) -> None:
            if self._map.get(key) != word(index):
                self._put(key, index)
                wrong.append(True)

        for path in _covered(bound, others):
            self._with_key(path, act)
        return len(wrong)

    def _put(self, key: bytes, index: int) -> None:
        """Write, and look up: from then on programs find it at hand (probes/include/compat.h)."""
        self._map.put(key, word(index))
        self._map.get(key)

    def _remove(self, paths: Iterable[Path], values: Container[bytes]) -> None:
        def act(key: bytes) -> None:
            if self._map.get(key) in values:
                self._map.remove(key)

        for path in paths:
            self._with_key(path, act)

    def _with_key(self, path: Path, act: Callable[[bytes], object]) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # it ended meanwhile, and its binding with it
        try:
            key = struct.pack("<i", descriptor) if self._by_descriptor else struct.pack("<Q", cgroups.cgroup_id(path))
            act(key)
        finally:
            os.close(descriptor)


def _covered(bound: container.Container, others: Collection[Path] = ()) -> Iterable[Path]:
    return (bound.cgroup,) if bound.alone else cgroups.walk(bound.cgroup, others)
