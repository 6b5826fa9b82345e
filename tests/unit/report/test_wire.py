"""Entries on the wire without being parsed are what the generated classes would have made."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulkhead.report.segment import Frame, Kind
from bulkhead.report.wire import encode_batch, varint
from bulkhead.v1.ingest_pb2 import AgentMessage, Batch
from tests.unit.report.samples import entry


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=5))
def test_a_batch_is_read_back_as_it_was(paddings: list[int]) -> None:
    """The hand-written encoding equals the generated one, for lengths of one to three bytes."""
    entries = [entry(number, padding=padding) for number, padding in enumerate(paddings, 1)]
    for number, each in enumerate(entries, 1):
        each.sequence = number
    frames = [Frame(each.sequence, Kind.KEPT, each.SerializeToString()) for each in entries]
    expected = AgentMessage(batch=Batch(first_sequence=1, last_sequence=len(entries), entries=entries))
    assert AgentMessage.FromString(encode_batch(frames)) == expected


@given(st.integers(0, 2**64 - 1))
def test_varints_end_where_they_say(value: int) -> None:
    """Seven bits a byte, the last one without the high bit."""
    packed = varint(value)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(packed)) == value
    assert all(byte & 0x80 for byte in packed[:-1])
    assert not packed[-1] & 0x80
