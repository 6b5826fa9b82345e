"""The reporter passes on everything it is given, in order, counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bulkhead import abi
from bulkhead.report.reconcile import CounterName
from bulkhead.report.reporter import ENRICHED_AT_ONCE, JsonLines, Reporter, Surroundings, open_json_lines
from bulkhead.settings import BATCH_ENTRIES
from bulkhead.v1.violation_pb2 import Entry, GapReason, Violation
from tests.unit.report.samples import NAMES, NODE, record


class Collecting:
    """A sink that remembers, and counts how often it was asked to try again."""

    def __init__(self) -> None:
        self.batches: list[list[Entry]] = []
        self.retries = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Remembers."""
        self.batches.append(list(entries))

    def retry(self) -> None:
        """Counts."""
        self.retries += 1


def reporter(*sinks: Collecting | JsonLines, looked_up: list[Violation] | None = None) -> Reporter:
    """With a clock that stands still."""
    seen = [] if looked_up is None else looked_up
    return Reporter(NAMES, NODE, sinks, around=Surroundings(lambda: 10**18, lambda: 10**18, seen.append))


def test_records_repeats_and_gaps_are_passed_on_in_order() -> None:
    """One flush is one batch; each entry names the node."""
    sink = Collecting()
    made = reporter(sink)
    made.accept([bytes(record()), bytes(record(abi.Operation.READ, path=b"/etc/shadow"))])
    made.accept_swept([(bytes(record().repeat), bytes(abi.Repeat(count=4)))])
    made.flush()
    (batch,) = sink.batches
    told = [(each.violation.operation, each.violation.count, each.violation.node) for each in batch]
    assert told == [("Exec", 1, "node-1"), ("Read", 1, "node-1"), ("Exec", 4, "node-1")]
    assert batch[2].violation.object.path == b"/bin/sh"


def test_nothing_new_lets_sinks_try_again() -> None:
    """That is how what a full disk refused gets written without new violations."""
    sink = Collecting()
    reporter(sink).flush()
    assert (sink.batches, sink.retries) == ([], 1)


def test_a_full_batch_does_not_wait() -> None:
    """500 entries are passed on at once, the rest with the next flush."""
    sink = Collecting()
    made = reporter(sink)
    made.accept([bytes(record())] * (BATCH_ENTRIES + 1))
    assert [len(batch) for batch in sink.batches] == [BATCH_ENTRIES]
    made.close()
    assert [len(batch) for batch in sink.batches] == [BATCH_ENTRIES, 1]


def test_a_storm_is_not_looked_up() -> None:
    """Only so many processes of one call are looked for in /proc."""
    looked_up: list[Violation] = []
    reporter(Collecting(), looked_up=looked_up).accept([bytes(record())] * (ENRICHED_AT_ONCE + 50))
    assert len(looked_up) == ENRICHED_AT_ONCE


def test_damage_is_counted_and_does_not_stop_others() -> None:
    """A record that makes no sense is a gap of one, which its counter then does not tell again."""
    sink = Collecting()
    made = reporter(sink)
    broken = record()
    broken.object_bytes = 60_000
    made.accept([b"short", bytes(broken), bytes(record())])
    made.accept_swept([(b"", b"")])
    made.accept_counters({CounterName(3, 1, 2, abi.Verdict.DENY): 2}, quiet=True)
    made.flush()
    (batch,) = sink.batches
    gaps = [each.gap for each in batch if each.HasField("gap")]
    assert [gap.count for gap in gaps] == [0, 1, 0]
    assert {gap.reason for gap in gaps} == {GapReason.GAP_REASON_RECORD_DAMAGED}
    assert made.damaged == 3


def test_what_the_counters_know_better_is_a_gap() -> None:
    """Three counted, one told: two are missing."""
    sink = Collecting()
    made = reporter(sink)
    made.accept([bytes(record())])
    made.accept_counters({CounterName(3, 1, 2, abi.Verdict.DENY): 3}, quiet=True)
    made.flush()
    assert [each.gap.count for each in sink.batches[0] if each.HasField("gap")] == [2]


def test_json_lines_are_complete_when_flushed(tmp_path: Path) -> None:
    """One object a line, numbered from 1, readable before the file is closed."""
    path = tmp_path / "out.jsonl"
    with open_json_lines(path) as file:
        made = reporter(JsonLines(file, NODE))
        made.accept([bytes(record(path=b"/\xff")), bytes(record())])
        made.flush()
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [f"node-1/{NODE.boot_id}/{number}" for number in (1, 2)]
    assert lines[0]["object"] == "/\\xff"
