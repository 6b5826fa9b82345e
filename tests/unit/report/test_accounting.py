"""Repeats and counters: every violation is told, or counted in a gap, exactly once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkhead import abi
from bulkhead.errors import Damaged
from bulkhead.report import ledger_file
from bulkhead.report.decode import decode
from bulkhead.report.reconcile import CounterName, Ledger, Shortfall, describe
from bulkhead.report.repeats import Repeats
from bulkhead.v1.violation_pb2 import GapReason, Verdict
from tests.unit.report.samples import NAMES, record

NAME = CounterName(3, 1, 2, abi.Verdict.DENY)
OTHER = CounterName(3, 1, 2, abi.Verdict.AUDIT)


def test_a_swept_repeat_looks_like_its_record() -> None:
    """Object and process of the record that came first, with count and times of the repeats."""
    repeats = Repeats(NAMES)
    made = record()
    first = decode(bytes(made), NAMES, 0)
    repeats.remember(made.repeat, first)
    swept = [(bytes(made.repeat), bytes(abi.Repeat(first_ns=10, last_ns=2_000_000_020, count=7)))]
    ((key, told),) = repeats.tell(swept, 0)
    assert bytes(key) == bytes(made.repeat)
    assert (told.count, told.object.path, told.process.pid) == (7, b"/bin/sh", 100)
    assert (told.first_time.nanos, told.last_time.seconds, told.time.nanos) == (10, 2, 20)


def test_a_forgotten_record_leaves_what_the_key_says() -> None:
    """Memory is bounded: the oldest goes, and its repeats are told with rule, container, operation and pid."""
    repeats = Repeats(NAMES, limit=1)
    for inode in (1, 2):
        made = record()
        made.repeat.object, made.repeat.subject = inode, 100 << 32
        violation = decode(bytes(made), NAMES, 0)
        repeats.remember(made.repeat, violation)
    made.repeat.object = 1
    ((_, told),) = repeats.tell([(bytes(made.repeat), bytes(abi.Repeat(count=1)))], 0)
    assert (told.policy, told.pod, told.operation, told.process.pid) == ("web", "web-0", "Exec", 100)
    assert not told.HasField("object")


def test_a_repeat_of_none_is_nothing() -> None:
    """An entry that was only opened by the kernel tells nothing."""
    assert Repeats(NAMES).tell([(bytes(record().repeat), bytes(abi.Repeat()))], 0) == []


@pytest.mark.parametrize(("key", "value"), [(b"", bytes(24)), (bytes(32), b"x"), (bytes(32), bytes(24))])
def test_a_repeat_that_makes_no_sense_is_damage(key: bytes, value: bytes) -> None:
    """Too short, or of no verdict."""
    with pytest.raises(Damaged):
        Repeats(NAMES).tell([(key, value)], 0)


def test_what_was_counted_and_never_told_is_missing_once() -> None:
    """Known for sure at the next reading: a record may still be on its way at the first."""
    ledger = Ledger()
    assert ledger.settle({NAME: 5}) == []
    ledger.add(NAME, 3)
    assert ledger.settle({NAME: 9}) == [Shortfall(NAME, 2)]
    ledger.add(NAME, 4)
    assert ledger.settle({NAME: 9}) == []
    assert ledger.settle({NAME: 9}) == []


def test_when_all_is_quiet_the_reading_itself_counts() -> None:
    """At the end of a run there is no next reading."""
    ledger = Ledger()
    ledger.add(NAME, 1)
    assert ledger.settle({NAME: 3, OTHER: 1}, quiet=True) == [Shortfall(NAME, 2), Shortfall(OTHER, 1)]
    assert ledger.settle({NAME: 3, OTHER: 1}, quiet=True) == []


def test_a_counter_that_begins_anew_is_not_a_loss() -> None:
    """A slot that another container took over starts at 0, and so does what was told of it."""
    ledger = Ledger()
    ledger.add(NAME, 100)
    ledger.settle({NAME: 100})
    ledger.settle({})
    ledger.settle({NAME: 2})
    assert ledger.settle({NAME: 2}) == [Shortfall(NAME, 2)]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=20))
def test_told_and_missing_add_up_to_what_was_counted(steps: list[tuple[int, int]]) -> None:
    """Whatever is lost in between, at the end everything is accounted for; records never come before their counter."""
    ledger = Ledger()
    counted = told = missing = in_flight = 0
    for happened, lost in steps:
        counted += happened
        counters = {NAME: counted}
        delivered = max(0, in_flight + happened - lost)
        ledger.add(NAME, delivered)
        told += delivered
        in_flight = 0
        missing += sum(each.missing for each in ledger.settle(counters))
    missing += sum(each.missing for each in ledger.settle({NAME: counted}, quiet=True))
    assert told + missing == counted


def test_a_gap_names_what_it_can() -> None:
    """Rule, container, verdict and the span; a rule that is gone stays empty."""
    known, unknown = describe([Shortfall(NAME, 4), Shortfall(CounterName(9, 9, 9, 1), 1)], NAMES, 10, 20, "node-1")
    assert (known.count, known.rule, known.cgroup, known.pod) == (
        4,
        "shop/web/exec/no-shells",
        "/kubepods/web",
        "web-0",
    )
    assert (known.verdict, known.reason, known.node) == (
        Verdict.VERDICT_DENIED, GapReason.GAP_REASON_KERNEL_FULL, "node-1",
    )  # fmt: skip
    assert (known.first_time.nanos, known.last_time.nanos) == (10, 20)
    assert (unknown.count, unknown.rule, unknown.cgroup) == (1, "", "")


def test_a_ledger_outlives_the_agent_within_a_boot(tmp_path: Path) -> None:
    """After a reboot the kernel counts from 0, and so do we; a file that makes no sense is an empty ledger."""
    path = tmp_path / "ledger"
    assert ledger_file.load(path, "boot").told == {}
    ledger_file.save(path, Ledger({NAME: 5}), "boot")
    assert ledger_file.load(path, "boot").told == {NAME: 5}
    assert ledger_file.load(path, "another").told == {}
    for damage in (b"", b"[]", b'{"format": 1, "boot_id": "boot", "told": [[1]]}'):
        path.write_bytes(damage)
        assert ledger_file.load(path, "boot").told == {}


def test_a_ledger_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    """The spool on the same disk tells about that already."""
    ledger_file.save(tmp_path / "not" / "there", Ledger(), "boot")
    assert list(tmp_path.iterdir()) == []
