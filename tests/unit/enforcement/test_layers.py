"""What a container's image is, as the programs are told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import pytest

from bulkhead import abi
from bulkhead.enforcement import layers
from bulkhead.enforcement.layers import Layers, require_known
from bulkhead.enforcement.roots import RootView
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.maps import Map
from bulkhead.node.symlinks import Links


class Kept:
    """A map in a dictionary."""

    def __init__(self) -> None:
        self.entries: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[bytes]:
        return iter(list(self.entries))

    def get(self, key: bytes) -> bytes | None:
        """An entry."""
        return self.entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry."""
        self.entries[key] = value

    def remove(self, key: bytes) -> None:
        """Remove one."""
        self.entries.pop(key, None)

    def told(self) -> dict[tuple[int, int], abi.Layer]:
        """By container and device."""
        keys = {key: abi.LayerKey.from_buffer_copy(key) for key in self.entries}
        return {(key.container, key.device): abi.Layer.from_buffer_copy(self.entries[raw]) for raw, key in keys.items()}


def view(*devices: int, overlay: bool = False) -> RootView:
    """A container that has these file systems mounted, the first at its root."""
    return RootView(
        anchors=(),
        table=(),
        places=frozenset(),
        prefixes={},
        devices=frozenset(devices),
        root_device=devices[0],
        has_own_overlay=overlay,
        root=-1,
        links=cast(Links, None),
    )


@pytest.fixture
def kept() -> Kept:
    """An empty map."""
    return Kept()


def of(kept: Kept) -> Layers:
    """What writes the map."""
    return Layers(cast(Map, kept))


def test_of_an_overlay_of_its_own_the_root_alone_is_the_image(kept: Kept) -> None:
    """Volumes hold nothing of it."""
    of(kept).write(3, view(7, 8, 9, overlay=True))
    told = kept.told()
    assert told.keys() == {(3, 7)}
    assert told[3, 7].kind == abi.LayerKind.OVERLAY


def test_of_any_other_root_it_is_all_that_is_mounted_at_first(kept: Kept) -> None:
    """As of a moment that no file written before has a stamp of."""
    before = time.clock_gettime_ns(layers._CLOCK_REALTIME_COARSE)
    of(kept).write(3, view(7, 8))
    told = kept.told()
    assert told.keys() == {(3, 7), (3, 8)}
    assert {layer.kind for layer in told.values()} == {abi.LayerKind.TIME}
    assert all(layer.since_ns > before and layer.since_boottime_ns > 0 for layer in told.values())


def test_a_second_look_keeps_the_time_of_the_first(kept: Kept) -> None:
    """Also after a restart; what is mounted may be another then."""
    of(kept).write(3, view(7, 8))
    since = kept.told()[3, 7].since_ns
    of(kept).write(3, view(9))
    told = kept.told()
    assert told.keys() == {(3, 9)}
    assert told[3, 9].since_ns == since


def test_containers_are_forgotten_one_by_one(kept: Kept) -> None:
    """Those that are not there any more after a restart, too."""
    every = of(kept)
    for index in (1, 2, 3):
        every.write(index, view(7, 8))
    every.remove(1)
    assert {index for index, _ in kept.told()} == {2, 3}
    of(kept).keep_only([3])
    assert {index for index, _ in kept.told()} == {3}


def test_an_overlay_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, and only where it matters."""
    monkeypatch.setattr(layers, "has_known_layout", lambda: False)
    require_known(view(7))
    with pytest.raises(NotEnforceable, match="module overlay"):
        require_known(view(7, overlay=True))
    monkeypatch.setattr(layers, "has_known_layout", lambda: True)
    require_known(view(7, overlay=True))
