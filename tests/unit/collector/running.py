"""A collector on a free port of loopback, in a thread of this process, and agents that speak to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import grpc

from bulkhead.collector.roles import Roles
from bulkhead.collector.server import EVERYBODY, Collector, CollectorOptions, TokenReaders
from bulkhead.collector.store import Store
from bulkhead.report.channel import TlsFiles
from bulkhead.report.stream import METHOD
from bulkhead.settings import StoreLimits, StreamLimits
from bulkhead.v1.ingest_pb2 import AgentMessage, Batch, CollectorMessage, Hello
from bulkhead.v1.violation_pb2 import Entry
from bulkhead.v1.violations_pb2 import Filter, StoredEntry, SubscribeRequest, SubscribeResponse
from bulkhead.v1.violations_pb2_grpc import ViolationsStub

IMPATIENT = StreamLimits(backoff_first_s=0.01, backoff_last_s=0.05)
QUICK = StoreLimits(heartbeat_s=0.05)


class Running:
    """A collector that serves until `stop`."""

    def __init__(
        self,
        directory: Path,
        listen: str = "127.0.0.1:0",
        tls: TlsFiles | None = None,
        limits: StoreLimits = QUICK,
        open_store: Callable[[Path, StoreLimits], Store] = Store,
        *,
        roles: Roles = EVERYBODY,
        tokens: TokenReaders | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)
        self._thread.start()
        options = CollectorOptions(listen, directory, tls or TlsFiles(), limits, roles, tokens=tokens)
        try:
            self._collector = Collector(options, open_store)
            asyncio.run_coroutine_threadsafe(self._collector.start(), self._loop).result()
        except BaseException:
            self._end_loop()
            raise
        self.address = f"127.0.0.1:{self._collector.port}"
        self.token_address = f"127.0.0.1:{self._collector.token_port}"
        self.store, self.vitals = self._collector.store, self._collector.vitals

    def stop(self) -> None:
        """Ends it at once."""
        asyncio.run_coroutine_threadsafe(self._collector.stop(grace_s=0), self._loop).result()
        self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def running(directory: Path, **options: object) -> Iterator[Running]:
    """A collector for the length of a test."""
    collector = Running(directory, **options)  # type: ignore[arg-type]
    try:
        yield collector
    finally:
        collector.stop()


HELLO = AgentMessage(hello=Hello(node="node-1", boot_id="boot", schema_version=1))


def batch(entries: list[Entry], first_sequence: int = 1) -> AgentMessage:
    """A batch with sequences from `first_sequence` on."""
    for sequence, entry in enumerate(entries, first_sequence):
        entry.sequence = sequence
    last = first_sequence + len(entries) - 1
    return AgentMessage(batch=Batch(first_sequence=first_sequence, last_sequence=last, entries=entries))


def converse(address: str, *messages: AgentMessage | bytes) -> list[CollectorMessage]:
    """What a collector answers to these messages; raises grpc.RpcError where it refuses."""
    with grpc.insecure_channel(address) as channel:
        method = channel.stream_stream(
            METHOD, request_serializer=lambda data: data, response_deserializer=CollectorMessage.FromString
        )
        packed = [each if isinstance(each, bytes) else each.SerializeToString() for each in messages]
        return list(method(iter(packed)))


@contextmanager
def subscribed(address: str, cursor: int = 0, **wanted: object) -> Iterator[Iterator[SubscribeResponse]]:
    """The responses of one subscription."""
    with grpc.insecure_channel(address) as channel:
        request = SubscribeRequest(filter=Filter(**wanted), cursor=cursor)  # type: ignore[arg-type]
        yield ViolationsStub(channel).Subscribe(request)


def read_history(address: str, cursor: int = 0, **wanted: object) -> list[StoredEntry]:
    """Every entry that there is now."""
    found: list[StoredEntry] = []
    with subscribed(address, cursor, **wanted) as responses:
        for response in responses:
            if response.HasField("caught_up"):
                return found
            found += response.entries.entries
    raise AssertionError("the stream ended")


def stored_pids(entries: list[StoredEntry]) -> list[int]:
    """Which of `samples.entry` these are."""
    return [each.entry.violation.process.pid for each in entries if each.entry.HasField("violation")]
