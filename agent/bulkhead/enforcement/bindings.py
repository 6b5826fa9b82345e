"""Which container a cgroup belongs to, in the kernel: the container's cgroup and all below it.

Top down: a child made after its parent was bound inherits in the kernel, one made before is found here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Collection
from pathlib import Path

from bulkhead.kernel.maps import Map, word
from bulkhead.kernel.plan import Parameters
from bulkhead.node import cgroups


class Bindings:
    """Binds cgroups, by descriptor where the kernel keeps the binding on the cgroup, else by id."""

    def __init__(self, bindings: Map, parameters: Parameters) -> None:
        self._map = bindings
        self._by_descriptor = parameters.cgroup_storage

    def bind(self, cgroup: Path, container: int) -> None:
        """Bind a cgroup and its descendants to `container` (index)."""
        for path in cgroups.walk(cgroup):
            self._with_key(path, lambda key: self._map.put(key, word(container)))

    def unbind(self, cgroup: Path) -> None:
        """Undo `bind`; also fine where the cgroup is gone."""
        if cgroup.is_dir():
            for path in cgroups.walk(cgroup):
                self._with_key(path, self._map.remove)

    def mend(self, cgroup: Path, container: int, others: Collection[Path]) -> int:
        """Bind those that are not bound as `bind` does it; how many. Not `others`, which are bound for themselves."""
        wrong: list[bool] = []

        def act(key: bytes) -> None:
            if self._map.get(key) != word(container):
                self._map.put(key, word(container))
                wrong.append(True)

        for path in cgroups.walk(cgroup, others):
            self._with_key(path, act)
        return len(wrong)

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
