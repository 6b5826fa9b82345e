"""Tells the kernel's programs what is ours: the agent's process, BPF objects, the folder of pins.

Containers under a policy may touch none of it (probes/tampering.bpf.c). The process is marked, not numbered: the mark
goes with it, whoever gets its number. Next step: `bulkhead.kernel.instance` calls this while it loads and attaches.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from bulkhead import abi
from bulkhead.kernel import libbpf
from bulkhead.kernel.maps import Maps, pack, word

_ID = struct.Struct("<4xI")  # struct bpf_map_info, bpf_prog_info and bpf_link_info: type, id, ...


class Guard:
    """What is guarded, as the maps say it."""

    def __init__(self, maps: Maps) -> None:
        self._maps = maps

    def begin(self, programs: Iterable[int], links: Iterable[int], pins: Path | None) -> None:
        """Guard this process and these descriptors, beside what is guarded."""
        self._mark_this_process()
        self._note_pins(pins)
        for key in self._keys(programs, links):
            self._maps["guarded"].put(key, word(1))

    def forget_all_but(self, programs: Iterable[int], links: Iterable[int]) -> None:
        """Guard no more what an earlier process had loaded, and what is replaced."""
        for stale in set(self._maps["guarded"]) - self._keys(programs, links):
            self._maps["guarded"].remove(stale)

    def _keys(self, programs: Iterable[int], links: Iterable[int]) -> set[bytes]:
        keys = {_key(abi.Guarded.MAP, descriptor) for descriptor in self._maps.descriptors().values()}
        keys |= {_key(abi.Guarded.PROGRAM, descriptor) for descriptor in programs}
        return keys | {_key(abi.Guarded.LINK, descriptor) for descriptor in links}

    def add_link(self, link: int) -> None:
        """Guard one more link. Raises `DoesNotFit`."""
        self._maps["guarded"].put(_key(abi.Guarded.LINK, link), word(1))

    def remove_link(self, link: int) -> None:
        """The link is about to go."""
        self._maps["guarded"].remove(_key(abi.Guarded.LINK, link))

    def _mark_this_process(self) -> None:
        process = os.pidfd_open(os.getpid())
        try:
            self._maps["agents"].put(struct.pack("<i", process), word(1))
        finally:
            os.close(process)

    def _note_pins(self, pins: Path | None) -> None:
        raw = self._maps["guard"].get(word(0))
        noted = abi.Guard.from_buffer_copy(raw) if raw else abi.Guard()
        if pins:
            found = pins.stat()
            noted.pins = found.st_ino
            noted.pins_device = os.major(found.st_dev) << 20 | os.minor(found.st_dev)
        self._maps["guard"].put(word(0), pack(noted))


def _key(kind: abi.Guarded, descriptor: int) -> bytes:
    (number,) = _ID.unpack_from(libbpf.object_info(descriptor))
    return pack(abi.GuardedKey(kind=kind, id=number))
