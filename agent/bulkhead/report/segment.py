"""One segment of the spool as bytes: a header, then frames, each with its length and a checksum. Pure.

    header   magic (8), first sequence (u64), boot id (32 bytes, NUL padded), CRC-32 of all of that (u32)
    frame    length of the payload (u32), CRC-32 of everything after itself (u32), sequence (u64), kind (u8), payload

Little endian, so that a disk can be read elsewhere. A frame is one entry, so that damage costs what comes after it in
the segment and nothing before it. Next step: `report.spool` keeps segments on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"BULKSPL1"
BOOT_ID_BYTES = 32
HEADER = Struct(f"<8sQ{BOOT_ID_BYTES}s")
CHECKSUM = Struct("<I")
HEADER_BYTES = HEADER.size + CHECKSUM.size
FRAME = Struct("<IIQB")
CHECKED_FROM = 8  # of a frame: length and checksum are not under the checksum
CHECKED_HEAD = Struct("<QB")
SEQUENCE_LIMIT = 1 << 62  # no spool gets there by counting


class Kind(IntEnum):
    """What a frame holds, as far as the spool must know: what goes first when there is no room."""

    AUDITED = 1
    KEPT = 2
    GAP = 3


class Frame(NamedTuple):
    """One entry: `payload` is a serialized `bulkhead.v1.Entry`."""

    sequence: int
    kind: int
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return FRAME.size + len(self.payload)


@dataclass(frozen=True)
class Header:
    """What a segment says about itself."""

    first_sequence: int
    boot_id: str


class Scanned(NamedTuple):
    """Frames read from bytes, where reading stopped, and why: empty where the bytes ended with a frame."""

    frames: list[Frame]
    end: int
    damage: str


def pack_header(header: Header) -> bytes:
    """The first HEADER_BYTES of a segment."""
    packed = HEADER.pack(MAGIC, header.first_sequence, header.boot_id.encode("ascii"))
    return packed + CHECKSUM.pack(crc32(packed))


def unpack_header(data: bytes) -> Header | None:
    """The header at the start of `data`, or None where there is none that can be believed."""
    if len(data) < HEADER_BYTES or crc32(data[: HEADER.size]) != CHECKSUM.unpack_from(data, HEADER.size)[0]:
        return None
    magic, first_sequence, boot_id = HEADER.unpack_from(data)
    if magic != MAGIC:
        return None
    return Header(first_sequence, boot_id.rstrip(b"\0").decode("ascii"))


def pack_frames(frames: Iterable[Frame]) -> bytes:
    """The frames as bytes, one after the other."""
    parts = []
    for sequence, kind, payload in frames:
        checksum = crc32(payload, crc32(CHECKED_HEAD.pack(sequence, kind)))
        parts.append(FRAME.pack(len(payload), checksum, sequence, kind))
        parts.append(payload)
    return b"".join(parts)


def scan(data: bytes, position: int, after: int, entries: int, payload_bytes: int) -> Scanned:
    """At most `entries` frames with `payload_bytes` of payload from `position` on, of sequences above `after`.

    Frames at or below `after` are read over. `end` is where the next call goes on; a frame that is not whole or not
    what was written, or whose sequence does not ascend, is damage, and `end` is where it begins.
    """
    frames: list[Frame] = []
    view = memoryview(data)
    end = len(data)
    last = 0
    while position < end and len(frames) < entries and payload_bytes > 0:
        if end - position < FRAME.size:
            return Scanned(frames, position, "cut in the middle of a frame")
        length, checksum, sequence, kind = FRAME.unpack_from(data, position)
        start = position + FRAME.size
        following = start + length
        if following > end:
            return Scanned(frames, position, "cut in the middle of an entry")
        if crc32(view[position + CHECKED_FROM : following]) != checksum or not last < sequence < SEQUENCE_LIMIT:
            return Scanned(frames, position, "not what was written")
        last = sequence
        if sequence > after:
            frames.append(Frame(sequence, kind, data[start:following]))
            payload_bytes -= length
        position = following
    return Scanned(frames, position, "")
