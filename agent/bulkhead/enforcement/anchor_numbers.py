"""The numbers of inodes from which walks begin: mount roots and gates of containers. Each is numbered once.

A number lives as long as its inode is in use, also over an agent's end. Where BPF LSM is active it is kept on the
inode; where it is not, in the map `numbered`, out of which a program takes it when the inode goes. Next step:
`bulkhead.enforcement.enforcer` writes what state a number stands for in a container.
"""

from __future__ import annotations

import os
import struct

from bulkhead import abi
from bulkhead.enforcement.link_table import link_key
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.maps import pack, word


class AnchorNumbers:
    """Looks numbers up and gives them out."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._on_inodes = instance.bundle.parameters.bpf_lsm

    def number_of(self, descriptor: int, device: tuple[int, int] | None = None) -> int:
        """The number of an open inode. `device` is its file system's (major, minor), where stat(2) may say another."""
        return self._kept_on(descriptor) if self._on_inodes else self._kept_beside(descriptor, device)

    def _kept_on(self, descriptor: int) -> int:
        key = struct.pack("<i", descriptor)
        raw = self._instance.maps["inodes"].get(key)
        memory = abi.InodeMemory.from_buffer_copy(raw) if raw else abi.InodeMemory()
        if memory.anchor == 0:
            number = self._instance.next_anchor()
            self._instance.maps["inodes"].put(key, pack(abi.InodeMemory(anchor=number)))
            return number
        return int(memory.anchor)

    def _kept_beside(self, descriptor: int, device: tuple[int, int] | None) -> int:
        status = os.fstat(descriptor)
        device = device or (os.major(status.st_dev), os.minor(status.st_dev))
        key = pack(link_key(0, device, status.st_ino))
        if raw := self._instance.maps["numbered"].get(key):
            return int.from_bytes(raw, "little")
        number = self._instance.next_anchor()
        self._instance.maps["numbered"].put(key, word(number))
        return number
