"""What a container's image is, for the programs: which file systems hold it, and how to tell its files from others.

A root that is an overlay of the container's own has the image in its lower layers. Any other root (`bulkhead run`, a
container on another storage driver) is taken as it was when its container came under its first policy, with all that
was mounted there. Decided once and not by what is mounted later, so that nobody mounts himself an image. Next step:
probes/include/provenance.h reads the map.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from bulkhead import abi
from bulkhead.enforcement.roots import RootView
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.maps import Map, pack
from bulkhead.kernel.overlay import has_known_layout

_CLOCK_REALTIME_COARSE = 5  # what inodes are stamped with
_TICK_S = 0.001


class Layers:
    """The map `layers`."""

    def __init__(self, layers: Map) -> None:
        self._map = layers
        self._keys: dict[int, list[bytes]] = {}
        for key in layers:
            self._keys.setdefault(abi.LayerKey.from_buffer_copy(key).container, []).append(key)

    def write(self, index: int, view: RootView) -> None:
        """The image of the container at an index, as it is now; what was noted before is replaced, but for its time."""
        since = self._since(index) or _now()
        kind = abi.LayerKind.OVERLAY if view.has_own_overlay else abi.LayerKind.TIME
        layer = pack(abi.Layer(kind=kind, since_ns=since[0], since_boottime_ns=since[1]))
        devices = {view.root_device} if view.has_own_overlay else view.devices
        self.remove(index)
        for device in sorted(devices):
            key = pack(abi.LayerKey(container=index, device=device))
            self._keys.setdefault(index, []).append(key)
            self._map.put(key, layer)

    def remove(self, index: int) -> None:
        """Forget a container."""
        for key in self._keys.pop(index, ()):
            self._map.remove(key)

    def keep_only(self, indices: Iterable[int]) -> None:
        """Forget every other container."""
        for index in self._keys.keys() - set(indices):
            self.remove(index)

    def _since(self, index: int) -> tuple[int, int] | None:
        for key in self._keys.get(index, ()):
            raw = self._map.get(key)
            if raw:
                layer = abi.Layer.from_buffer_copy(raw)
                return layer.since_ns, layer.since_boottime_ns
        return None


def require_known(view: RootView) -> None:
    """Raises `NotEnforceable` where this kernel does not show what an image's files are."""
    if view.has_own_overlay and not has_known_layout():
        raise NotEnforceable(
            "which files are of the image cannot be told on this kernel: the BTF of its module overlay is missing or "
            "says that it is made otherwise; a default of exec, notInImage and by need it, what was enforced goes on"
        )


def _now() -> tuple[int, int]:
    """Now, by the clock of inodes and since boot, in ns. Whatever was stamped before this call was stamped earlier."""
    first = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
    while (now := time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)) == first:
        time.sleep(_TICK_S)
    return now, time.clock_gettime_ns(time.CLOCK_BOOTTIME)
