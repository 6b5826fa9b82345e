"""The bytes between a runtime and its plugin."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkhead.errors import Damaged
from bulkhead.node.nri.frames import MAX_MESSAGE, PLUGIN, REQUEST, RESPONSE, RUNTIME, Decoder, Message, encode

messages = st.lists(
    st.builds(
        Message,
        st.sampled_from([PLUGIN, RUNTIME]),
        st.integers(0, 2**32 - 1),
        st.sampled_from([REQUEST, RESPONSE]),
        st.binary(max_size=40),
    ),
    max_size=6,
)


@given(messages, st.integers(1, 30))
def test_messages_come_out_as_they_went_in_however_they_are_cut(sent: list[Message], size: int) -> None:
    """A socket delivers pieces of any size."""
    data = b"".join(map(encode, sent))
    decoder = Decoder()
    received = [message for start in range(0, len(data), size) for message in decoder.feed(data[start : start + size])]
    assert received == sent


def test_a_message_may_span_frames_of_the_multiplexer() -> None:
    """Large lists of containers do; the other connection's frames may lie between."""
    whole = encode(Message(PLUGIN, 7, REQUEST, b"a long payload"))[8:]
    other = Message(RUNTIME, 1, RESPONSE, b"x")
    parts = [struct.pack(">II", PLUGIN, len(part)) + part for part in (whole[:9], whole[9:])]
    received = list(Decoder().feed(parts[0] + encode(other) + parts[1]))
    assert received == [other, Message(PLUGIN, 7, REQUEST, b"a long payload")]


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", PLUGIN, MAX_MESSAGE * 2),
        struct.pack(">IIIIBB", PLUGIN, 10, MAX_MESSAGE * 2, 1, REQUEST, 0),
    ],
)
def test_what_claims_to_be_too_long_is_refused(data: bytes) -> None:
    """Memory is not given to whoever claims a size."""
    with pytest.raises(Damaged, match="more than 4194304"):
        list(Decoder().feed(data))
