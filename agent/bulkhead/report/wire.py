"""Entries as they lie in the spool to a message on the wire, without parsing them: ten times cheaper. Pure.

Writes the protobuf encoding of `AgentMessage{batch: Batch{...}}` by hand. The tests hold it against the generated
classes. Next step: `report.stream` sends it.
"""

from __future__ import annotations

from collections.abc import Sequence

from bulkhead.report.segment import Frame
from bulkhead.v1.ingest_pb2 import AgentMessage, Batch

LENGTH_DELIMITED = 2


def _tag(field_number: int) -> bytes:
    return bytes([field_number << 3 | LENGTH_DELIMITED])


BATCH_TAG = _tag(AgentMessage.BATCH_FIELD_NUMBER)
ENTRY_TAG = _tag(Batch.ENTRIES_FIELD_NUMBER)


def encode_batch(frames: Sequence[Frame]) -> bytes:
    """A serialized AgentMessage with a batch of these frames, at least one."""
    parts = [Batch(first_sequence=frames[0].sequence, last_sequence=frames[-1].sequence).SerializeToString()]
    for frame in frames:
        payload = frame.payload
        parts.append(ENTRY_TAG + varint(len(payload)))
        parts.append(payload)
    batch = b"".join(parts)
    return BATCH_TAG + varint(len(batch)) + batch


def varint(value: int) -> bytes:
    """A number below 2**64 in groups of seven bits, lowest first."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
