"""The bytes between a runtime and its plugin: ttrpc messages in the frames of a multiplexer. Pure.

A frame of the multiplexer is {connection u32, length u32} and a piece of that connection's stream; a ttrpc message is
{length u32, stream u32, type u8, flags u8} and its payload, all in network order. A message may span frames. Sources:
github.com/containerd/nri, pkg/net/multiplex; github.com/containerd/ttrpc, PROTOCOL.md. Next step: `plugin`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from bulkhead.errors import Damaged

PLUGIN, RUNTIME = 1, 2  # connections: the runtime calls the plugin on the first, the plugin the runtime on the other
REQUEST, RESPONSE = 1, 2  # types of messages
MAX_MESSAGE = 4 << 20  # bytes, ttrpc's own
_FRAME, _MESSAGE = struct.Struct(">II"), struct.Struct(">IIBB")


@dataclass(frozen=True)
class Message:
    """One ttrpc message on one connection. A response has the stream of its request."""

    connection: int
    stream: int
    kind: int
    payload: bytes


def encode(message: Message) -> bytes:
    """The message as one frame."""
    body = _MESSAGE.pack(len(message.payload), message.stream, message.kind, 0) + message.payload
    return _FRAME.pack(message.connection, len(body)) + body


@dataclass
class Decoder:
    """Turns what was received, in whatever pieces, into messages."""

    _received: bytes = b""
    _streams: dict[int, bytes] = field(default_factory=dict)

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete now. Raises `Damaged` where the other side speaks something else."""
        self._received += data
        while len(self._received) >= _FRAME.size:
            connection, length = _FRAME.unpack_from(self._received)
            _check(length)
            end = _FRAME.size + length
            if len(self._received) < end:
                return
            self._streams[connection] = self._streams.get(connection, b"") + self._received[_FRAME.size : end]
            self._received = self._received[end:]
            yield from self._complete(connection)

    def _complete(self, connection: int) -> Iterator[Message]:
        stream = self._streams[connection]
        while len(stream) >= _MESSAGE.size:
            length, number, kind, _flags = _MESSAGE.unpack_from(stream)
            _check(length)
            end = _MESSAGE.size + length
            if len(stream) < end:
                break
            yield Message(connection, number, kind, stream[_MESSAGE.size : end])
            stream = stream[end:]
        self._streams[connection] = stream


def _check(length: int) -> None:
    if length > MAX_MESSAGE + _MESSAGE.size:
        raise Damaged(f"the container runtime's NRI socket: a message of {length} bytes, more than {MAX_MESSAGE}")
