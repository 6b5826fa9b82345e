"""A reader of a collector: entries with their cursors, each once, over as many connections as it takes.

A connection that breaks is made again from the last cursor. Used by `cli.events` and by whoever bridges to another
system. Next step on the other side: `collector.readers`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc

from bulkhead.errors import Unreachable
from bulkhead.report.channel import Tls, open_channel
from bulkhead.report.clock import timestamp
from bulkhead.report.stream import describe
from bulkhead.v1.violations_pb2 import Filter, StoredEntry, SubscribeRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub

PAUSE_FIRST_S = 0.25
PAUSE_LAST_S = 5.0  # a person is waiting
PERMANENT = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)


class Subscription:
    """What one reader wants, and how far it is. `since_ns` is wall time; `cursor` is where to go on."""

    def __init__(self, address: str, tls: Tls | None, wanted: Filter, since_ns: int = 0, cursor: int = 0) -> None:
        self._address, self._tls, self._wanted, self._since_ns = address, tls, wanted, since_ns
        self._answered = False
        self.cursor = cursor

    def history(self, notice: Callable[[str], None]) -> Iterator[StoredEntry]:
        """What there is now. `notice` gets lines about the connection. Raises Unreachable."""
        try:
            yield from self._entries(notice, to_the_end=True)
        except grpc.RpcError as error:
            raise Unreachable(f"collector {self._address}: {describe(error)}") from error

    def follow(
        self, notice: Callable[[str], None], pause: Callable[[float], None] = time.sleep
    ) -> Iterator[StoredEntry]:
        """What there is, then what arrives, without end. Raises Unreachable if it cannot be reached to begin with."""
        pause_s = PAUSE_FIRST_S
        reached = False
        while True:
            self._answered = False
            problem = "the stream ended"
            try:
                yield from self._entries(notice, to_the_end=False)
            except (grpc.RpcError, Unreachable) as error:
                problem = describe(error) if isinstance(error, grpc.RpcError) else str(error)
                reached = reached or self._answered
                if not reached or (isinstance(error, grpc.Call) and self._is_permanent(error.code())):
                    raise Unreachable(f"collector {self._address}: {problem}") from error
            pause_s = PAUSE_FIRST_S if self._answered else min(pause_s * 2, PAUSE_LAST_S)
            notice(f"collector {self._address}: {problem}; trying again")
            pause(pause_s)

    def _is_permanent(self, status: grpc.StatusCode) -> bool:
        """A token that was good a moment ago has expired: there may be a new one to read."""
        return status in PERMANENT and not (status is grpc.StatusCode.UNAUTHENTICATED and self._answered)

    def _entries(self, notice: Callable[[str], None], to_the_end: bool) -> Iterator[StoredEntry]:
        """One connection. Raises grpc.RpcError, and Unreachable where certificates cannot be had now."""
        request = SubscribeRequest(filter=self._wanted, cursor=self.cursor)
        if self._since_ns:
            request.since.CopyFrom(timestamp(self._since_ns))
        with closing(open_channel(self._address, self._tls)) as channel:
            for response in ViolationsStub(channel).Subscribe(request):
                self._answered = True
                kind = response.WhichOneof("kind")
                if kind == "entries":
                    for stored in response.entries.entries:
                        self.cursor = stored.cursor
                        yield stored
                elif kind == "lag":
                    notice(f"reading slowly: {response.lag.entries} entries behind, none is skipped")
                self.cursor = response.cursor
                if kind == "caught_up" and to_the_end:
                    return
