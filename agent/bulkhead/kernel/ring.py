"""How full a ring buffer is, which libbpf does not tell before its version 1.3.

The kernel maps two positions for whoever has the map: the reader's in the first page, the writers' in the second, each
a count of bytes since the buffer was made (kernel/bpf/ringbuf.c, `ringbuf_map_mmap_user`).
"""

from __future__ import annotations

import mmap
import struct

from bulkhead.errors import KernelUnable

_POSITION = struct.Struct("<Q")


class RingGauge:
    """Looks at one ring buffer and takes nothing from it. Raises `KernelUnable` where it cannot be mapped."""

    def __init__(self, descriptor: int) -> None:
        try:
            self._read, self._written = (
                mmap.mmap(descriptor, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ, offset=page * mmap.PAGESIZE)
                for page in range(2)
            )
        except OSError as error:
            raise KernelUnable(f"the event buffer cannot be mapped: {error.strerror}") from error

    def bytes_waiting(self) -> int:
        """Bytes that were written and not yet read."""
        (read,), (written,) = _POSITION.unpack_from(self._read), _POSITION.unpack_from(self._written)
        return int(written - read)

    def close(self) -> None:
        """The buffer stays as it is."""
        self._read.close()
        self._written.close()
