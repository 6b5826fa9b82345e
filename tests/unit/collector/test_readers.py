"""Readers get everything once: history, then what arrives, filtered, page by page."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import grpc
import pytest

from bulkhead.report.clock import timestamp
from bulkhead.settings import StoreLimits
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict
from bulkhead.v1.violations_pb2 import Filter, QueryRequest, QueryResponse
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.unit.collector.running import HELLO, Running, batch, converse, read_history, running, stored_pids, subscribed
from tests.unit.report.samples import entry

# A heartbeat comes every few hundredths of a second here: so many take longer than anything stored waits.
MOST_HEARTBEATS = 500


def send(collector: Running, *numbers: int) -> None:
    """Entries whose sequence is their number, acknowledged when this returns."""
    converse(collector.address, HELLO, batch([entry(number) for number in numbers], numbers[0]))


def query(collector: Running, **fields: object) -> QueryResponse:
    """One page."""
    with grpc.insecure_channel(collector.address) as channel:
        return ViolationsStub(channel).Query(QueryRequest(**fields))  # type: ignore[arg-type]


def test_history_then_live_without_seam(tmp_path: Path) -> None:
    """What arrives before, while and after the reader catches up comes once and in order."""
    with running(tmp_path) as collector:
        send(collector, 1, 2)
        seen: list[int] = []
        with subscribed(collector.address) as responses:
            for response in responses:
                seen += stored_pids(list(response.entries.entries))
                if response.HasField("caught_up") and len(seen) < 6:
                    send(collector, len(seen) + 1, len(seen) + 2)
                if len(seen) == 6:
                    break
        assert seen == [1, 2, 3, 4, 5, 6]


def test_a_reader_resumes_from_its_cursor(tmp_path: Path) -> None:
    """Any cursor of any message: what comes next is what had not come; also after the collector's restart."""
    with running(tmp_path) as collector:
        send(collector, 1, 2, 3, 4)
        whole = read_history(collector.address)
        for position, stored in enumerate(whole):
            assert read_history(collector.address, stored.cursor) == whole[position + 1 :]
    with running(tmp_path) as collector:
        send(collector, 5)
        assert stored_pids(read_history(collector.address, whole[2].cursor)) == [4, 5]


def test_a_waiting_reader_hears_that_the_stream_lives(tmp_path: Path) -> None:
    """Heartbeats carry the cursor on, past entries that the filter left out."""
    with running(tmp_path) as collector, subscribed(collector.address, policy="other") as responses:
        first = next(responses)
        assert first.HasField("caught_up")
        send(collector, 1)
        heartbeats = list(islice(responses, 2))
        while heartbeats[-1].cursor == first.cursor and len(heartbeats) < MOST_HEARTBEATS:
            heartbeats.append(next(responses))
        assert all(response.HasField("caught_up") for response in heartbeats)
        assert heartbeats[-1].cursor > first.cursor


def test_filters_select_and_gaps_come_along(tmp_path: Path) -> None:
    """By policy, namespace, pod, node and verdict; a gap unless what it knows contradicts."""
    web, audited, other = entry(1), entry(2, Verdict.VERDICT_AUDITED), entry(3)
    web.violation.namespace, web.violation.pod = "shop", "web-0"
    other.violation.policy = "other"
    unknown = Entry(gap=Gap(count=1, reason=GapReason.GAP_REASON_SPOOL_DAMAGED))
    known = Entry(gap=Gap(count=2, policy="other", verdict=Verdict.VERDICT_DENIED))
    with running(tmp_path) as collector:
        converse(collector.address, HELLO, batch([web, audited, other, unknown, known]))

        def found(**wanted: object) -> list[int]:
            return [stored.entry.sequence for stored in read_history(collector.address, **wanted)]

        assert found() == [1, 2, 3, 4, 5]
        assert found(policy="web") == [1, 2, 4]
        assert found(policy="other") == [3, 4, 5]
        assert found(pod="web-0", namespace="shop") == [1, 4, 5]
        assert found(verdicts=[Verdict.VERDICT_AUDITED]) == [2, 4]
        assert found(verdicts=[Verdict.VERDICT_AUDITED, Verdict.VERDICT_DENIED], policy="other") == [3, 4, 5]
        assert found(node="node-1") == [1, 2, 3, 4, 5]
        assert found(node="node-2") == []


def test_a_slow_reader_is_told_and_skips_nothing(tmp_path: Path) -> None:
    """Far behind after it had caught up: a notice of how far, and then everything."""
    limits = StoreLimits(page_batches=1, lag_entries=5, heartbeat_s=60)
    with running(tmp_path, limits=limits) as collector, subscribed(collector.address) as responses:
        assert next(responses).HasField("caught_up")
        # more than fits into the connection: the reader's side is full while it does not read
        padded = [
            [entry(number, padding=3_000) for number in range(start, start + 100)] for start in range(1, 601, 100)
        ]
        messages = [batch(entries, 1 + 100 * position) for position, entries in enumerate(padded)]
        converse(collector.address, HELLO, *messages)
        seen: list[int] = []
        lags: list[int] = []
        for response in responses:
            seen += stored_pids(list(response.entries.entries))
            if response.HasField("lag"):
                lags.append(response.lag.entries)
            if response.HasField("caught_up"):
                break
    assert seen == list(range(1, 601))
    assert len(lags) == 1
    assert lags[0] > 5


def test_pages_join_to_the_whole(tmp_path: Path) -> None:
    """Query gives what Subscribe gives, in pages of any size, and says when it has come to the end."""
    with running(tmp_path) as collector:
        for start in (1, 4, 7):
            send(collector, start, start + 1, start + 2)
        whole = read_history(collector.address)
        for limit in (1, 2, 3, 9, 100):
            found = []
            page = query(collector, limit=limit)
            while not page.complete:
                found += page.entries
                page = query(collector, limit=limit, cursor=page.cursor)
            assert [*found, *page.entries] == whole


def test_a_page_of_a_span_of_time(tmp_path: Path) -> None:
    """From `since` on and before `until`; `entry` n happened n seconds after second 1000."""
    with running(tmp_path) as collector:
        send(collector, 1, 2, 3, 4)
        page = query(collector, since=timestamp(1_002 * 10**9), until=timestamp(1_004 * 10**9))
        assert stored_pids(list(page.entries)) == [2, 3]
        assert stored_pids(list(query(collector, filter=Filter(policy="other")).entries)) == []


def test_a_page_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """With the limit in the message."""
    with running(tmp_path) as collector, pytest.raises(grpc.RpcError) as caught:
        query(collector, limit=1_001)
    assert isinstance(caught.value, grpc.Call)
    assert (caught.value.code(), "1 to 1000" in (caught.value.details() or "")) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        True,
    )


def test_what_expired_is_told_to_a_reader_that_had_begun(tmp_path: Path) -> None:
    """A reader whose cursor lies in removed files gets a gap with their number first; a new reader does not."""
    now_s = [3_600_000_000.0]
    with running(tmp_path) as collector:
        collector.store._wall_s = lambda: now_s[0]  # the collector's own clock has no other seam
        send(collector, 1, 2, 3)
        cursor = read_history(collector.address)[0].cursor
        now_s[0] += 30 * 86_400
        send(collector, 4)
        collector.store.retain()
        first, second = read_history(collector.address, cursor)
        assert (first.entry.gap.reason, first.entry.gap.count) == (GapReason.GAP_REASON_EXPIRED, 3)
        assert stored_pids([second]) == [4]
        assert stored_pids(read_history(collector.address)) == [4]
