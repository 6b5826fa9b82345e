"""What is not as `ingest.proto` promises is refused, with a status that says why, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

from bulkhead.collector.arrival import Arrival
from bulkhead.collector.store import Store, StoreFailed, StoreFull
from bulkhead.errors import BulkheadError
from bulkhead.settings import BATCH_BYTES_LIMIT, BATCH_ENTRIES_LIMIT
from bulkhead.v1.ingest_pb2 import AgentMessage, Batch, Hello
from bulkhead.v1.violation_pb2 import Entry
from tests.unit.collector.running import HELLO, Running, batch, converse, read_history, running, stored_pids
from tests.unit.report.samples import entry


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One for all refusals."""
    with running(tmp_path_factory.mktemp("store")) as collector:
        yield collector


def hello(**fields: object) -> AgentMessage:
    """A Hello with some fields different."""
    return AgentMessage(hello=Hello(**{"node": "n", "boot_id": "b", "schema_version": 1} | fields))  # type: ignore[arg-type]


def mislabelled(first: int, last: int, sequences: list[int]) -> AgentMessage:
    """A batch that says one thing and holds another."""
    entries = [entry(sequence) for sequence in sequences]
    for each, sequence in zip(entries, sequences, strict=True):
        each.sequence = sequence
    return AgentMessage(batch=Batch(first_sequence=first, last_sequence=last, entries=entries))


REFUSALS = [
    ([], "ended before a Hello"),
    ([batch([entry(1)])], "first message must be a Hello"),
    ([AgentMessage()], "first message must be a Hello"),
    ([b"\xff\xff"], "not a message"),
    ([hello(schema_version=0)], "schema version 0 is not spoken here, 1 is"),
    ([hello(schema_version=2)], "schema version 2"),
    ([hello(node="")], "Hello.node"),
    ([hello(node="a/b")], "Hello.node"),
    ([hello(boot_id="x" * 300)], "Hello.boot_id"),
    ([hello(), hello()], "must be a Batch"),
    ([hello(), AgentMessage(batch=Batch())], "a batch of 0 entries"),
    ([hello(), batch([entry(1)] * (BATCH_ENTRIES_LIMIT + 1))], "a batch of 1001 entries"),
    ([hello(), batch([entry(1)], 5), batch([entry(1)], 5)], "sequence 5 after 5"),
    ([hello(), batch([entry(1)], 5), batch([entry(1)], 3)], "sequence 3 after 5"),
    ([hello(), mislabelled(1, 2, [1, 1])], "sequence 1 after 1"),
    ([hello(), mislabelled(1, 2, [2, 3])], "holds others"),
    ([hello(), mislabelled(1, 5, [1, 2])], "holds others"),
    ([hello(), batch([Entry()])], "neither a violation nor a gap"),
]


@pytest.mark.parametrize(("messages", "reason"), REFUSALS, ids=[reason for _, reason in REFUSALS])
def test_refused(collector: Running, messages: list[AgentMessage | bytes], reason: str) -> None:
    """INVALID_ARGUMENT, in words that name what was wrong."""
    with pytest.raises(grpc.RpcError) as caught:
        converse(collector.address, *messages)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert reason in (caught.value.details() or "")


def test_a_message_that_is_too_large_is_refused(collector: Running) -> None:
    """By gRPC itself, before it is read into memory."""
    with pytest.raises(grpc.RpcError) as caught:
        converse(collector.address, hello(), batch([entry(1, padding=BATCH_BYTES_LIMIT + 10_000)]))
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_what_is_good_is_acknowledged(tmp_path: Path) -> None:
    """Welcome first, then the last sequence; a second stream is told how far the first came."""
    with running(tmp_path) as collector:
        answers = converse(collector.address, HELLO, batch([entry(1), entry(2)]), batch([entry(3)], 3))
        assert answers[0].welcome.durable_sequence == 0
        assert answers[-1].acknowledgement.sequence == 3
        (welcome,) = converse(collector.address, HELLO)
        assert welcome.welcome.durable_sequence == 3
        converse(collector.address, HELLO, batch([entry(1), entry(2), entry(3), entry(4)]))
        assert stored_pids(read_history(collector.address)) == [1, 2, 3, 4]


class RefusingStore(Store):
    """A store that cannot commit."""

    error: BulkheadError

    def commit(self, arrivals: Sequence[Arrival]) -> None:
        """Fails."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreFull("no room; nothing is acknowledged"), grpc.StatusCode.RESOURCE_EXHAUSTED),
        (StoreFailed("broken; nothing is acknowledged"), grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_a_store_that_fails_acknowledges_nothing(tmp_path: Path, error: BulkheadError, code: grpc.StatusCode) -> None:
    """The stream ends with a status of its own, so that the agent keeps everything."""
    RefusingStore.error = error
    with running(tmp_path, open_store=RefusingStore) as collector:
        with pytest.raises(grpc.RpcError) as caught:
            converse(collector.address, HELLO, batch([entry(1)]))
        assert isinstance(caught.value, grpc.Call)
        assert (caught.value.code(), caught.value.details()) == (code, str(error))
