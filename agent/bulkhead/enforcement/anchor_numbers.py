"""The number of an inode, which stays with it: by what the kernel's programs know a directory that was announced.

Next step: `enforcement.enforcer` writes under these numbers where a walk may begin, `enforcement.starts` which root is
the runtime's.
"""

from __future__ import annotations

import struct

from bulkhead import abi
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.maps import pack


def anchor_number(instance: Instance, descriptor: int) -> int:
    """The number of what a descriptor is open on; it gets one where it has none."""
    key = struct.pack("<i", descriptor)
    raw = instance.maps["inodes"].get(key)
    memory = abi.InodeMemory.from_buffer_copy(raw) if raw else abi.InodeMemory()
    if memory.anchor == 0:
        number = instance.next_anchor()
        instance.maps["inodes"].put(key, pack(abi.InodeMemory(anchor=number)))
        return number
    return int(memory.anchor)
