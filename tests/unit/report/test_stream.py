"""A collector that is away, slow, or answers rubbish costs time, never an entry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from bulkhead.report.spool import Spool
from bulkhead.report.stream import Session, Stream
from bulkhead.settings import StreamLimits
from bulkhead.v1.ingest_pb2 import Acknowledgement, AgentMessage, CollectorMessage, Welcome
from tests.unit.report.samples import NODE, entry

PATIENCE_S = 20.0
Script = Callable[[Iterator[AgentMessage]], Iterator[CollectorMessage]]


def welcome(durable: int = 0) -> CollectorMessage:
    """The first answer."""
    return CollectorMessage(welcome=Welcome(durable_sequence=durable, schema_version=1))


def acknowledgement(sequence: int) -> CollectorMessage:
    """Every other answer."""
    return CollectorMessage(acknowledgement=Acknowledgement(sequence=sequence))


def good(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """What a collector should answer."""
    assert next(requests).HasField("hello")
    yield welcome()
    for request in requests:
        yield acknowledgement(request.batch.last_sequence)


@contextmanager
def answering(script: Script) -> Iterator[str]:
    """A server that answers by a script; its address."""

    def stream(requests: Iterator[AgentMessage], context: object) -> Iterator[CollectorMessage]:
        return script(requests)

    handler = grpc.stream_stream_rpc_method_handler(stream, AgentMessage.FromString, CollectorMessage.SerializeToString)
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bulkhead.v1.Ingest", {"Stream": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextmanager
def streaming(directory: Path, address: str, limits: StreamLimits) -> Iterator[tuple[Spool, Stream]]:
    """A spool with three entries, and a stream to an address."""
    spool = Spool(directory, NODE)
    spool.append([entry(1), entry(2), entry(3)])
    stream = Stream(spool, "node-1", lambda: grpc.insecure_channel(address), limits)
    stream.start()
    try:
        yield spool, stream
    finally:
        stream.stop()
        spool.close()


IMPATIENT = StreamLimits(backoff_first_s=0.01, backoff_last_s=0.02)


def acknowledges_too_much(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """Beyond what was sent."""
    yield welcome()
    yield acknowledgement(1_000)


def goes_back(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """An acknowledgement below the one before."""
    next(requests)
    yield welcome()
    next(requests)
    yield acknowledgement(2)
    yield acknowledgement(1)


def welcomes_twice(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """A message that has no place here."""
    yield welcome()
    yield welcome()


def skips_the_welcome(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """Acknowledges before it said what it has."""
    yield acknowledgement(1)


def claims_the_impossible(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """A number that nobody ever counted to."""
    yield welcome(1 << 60)


def says_nothing_at_all(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """An empty message."""
    yield CollectorMessage()


def hangs_up(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
    """Ends the stream at once."""
    return iter(())


@pytest.mark.parametrize(
    "rubbish",
    [
        acknowledges_too_much, goes_back, welcomes_twice, skips_the_welcome, claims_the_impossible, says_nothing_at_all,
        hangs_up,
    ],
)  # fmt: skip
def test_rubbish_is_survived(tmp_path: Path, rubbish: Script) -> None:
    """The stream ends, everything stays in the spool, and the next collector that behaves gets it all."""
    turns: list[Script] = [rubbish, rubbish]
    received: list[int] = []

    def script(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
        if turns:
            yield from turns.pop()(requests)
            return
        next(requests)
        yield welcome()
        for request in requests:
            received.extend(each.violation.process.pid for each in request.batch.entries)
            yield acknowledgement(request.batch.last_sequence)

    with answering(script) as address, streaming(tmp_path, address, IMPATIENT) as (_, stream):
        assert stream.drain(PATIENCE_S)
    assert received == [1, 2, 3]


def test_a_silent_collector_is_given_up(tmp_path: Path) -> None:
    """One that takes batches and never acknowledges is left after a time, and tried anew."""
    connections: list[int] = []
    released = threading.Event()

    def script(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
        connections.append(1)
        if len(connections) < 3:
            yield welcome()
            released.wait(PATIENCE_S)
            return
        yield from good(requests)

    limits = StreamLimits(backoff_first_s=0.01, backoff_last_s=0.02, acknowledgement_timeout_s=0.1)
    with answering(script) as address, streaming(tmp_path, address, limits) as (_, stream):
        assert stream.drain(PATIENCE_S)
        released.set()
    assert len(connections) == 3


def test_what_is_sent_unacknowledged_is_bounded(tmp_path: Path) -> None:
    """A slow collector gets a window of batches, and the next one only for an acknowledgement."""
    received: list[int] = []
    full = threading.Event()
    go_on = threading.Event()

    def script(requests: Iterator[AgentMessage]) -> Iterator[CollectorMessage]:
        next(requests)
        yield welcome()
        for request in requests:
            received.append(request.batch.last_sequence)
            if len(received) == 2:
                full.set()
                go_on.wait(PATIENCE_S)
            if len(received) >= 2:
                yield acknowledgement(received[-1])

    limits = StreamLimits(batch_entries=1, window_batches=2, backoff_first_s=0.01)
    with answering(script) as address, streaming(tmp_path, address, limits) as (_, stream):
        assert full.wait(PATIENCE_S)
        session = stream._session
        assert isinstance(session, Session)
        assert session.sent == 2
        go_on.set()
        assert stream.drain(PATIENCE_S)
    assert received == [1, 2, 3]


def test_pauses_grow_and_are_random(tmp_path: Path) -> None:
    """From half a second up to 30, never the same for all nodes: the bound doubles, the pause is drawn below it."""
    spool = Spool(tmp_path, NODE)
    bounds: list[tuple[float, float]] = []

    def chance(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    stream = Stream(spool, "node-1", lambda: grpc.insecure_channel("127.0.0.1:1"), chance=chance)
    assert [stream.pause_s(attempt) for attempt in (0, 1, 3, 50)] == [0.5] * 4
    assert bounds == [(0.5, 0.5), (0.5, 1.0), (0.5, 4.0), (0.5, 30.0)]
    spool.close()


def test_stopping_is_quick_and_keeps_everything(tmp_path: Path) -> None:
    """With no collector at all."""
    with streaming(tmp_path, "127.0.0.1:1", StreamLimits()) as (spool, _):
        pass
    assert spool.status().acknowledged == 0
    again = Spool(tmp_path, NODE)
    assert again.status().last_sequence == 3
    again.close()
