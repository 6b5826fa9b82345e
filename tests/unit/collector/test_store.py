"""The store keeps everything once, under cursors that only grow, and says when it cannot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkhead.collector.arrival import Arrival, Source, survey
from bulkhead.collector.filters import EntryFilter
from bulkhead.collector.pages import select
from bulkhead.collector.store import Store, StoreFailed, StoreFull
from bulkhead.collector.storefile import Wanted
from bulkhead.errors import Damaged, UsageError
from bulkhead.settings import StoreLimits
from bulkhead.v1.violation_pb2 import Entry, Gap, Verdict
from bulkhead.v1.violations_pb2 import Filter, StoredEntry
from tests.unit.collector.running import batch, stored_pids
from tests.unit.report.samples import entry

SOURCE = Source("node-1", "boot")
EVERYTHING = Wanted()


class Clock:
    """Wall time, seconds, that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 1_000_000 * 3_600.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """A clock at the beginning of an hour."""
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Store]]:
    """Opens stores in one directory; closes the last one."""
    opened: list[Store] = []

    def opener(limits: StoreLimits | None = None) -> Store:
        opened.append(Store(tmp_path / "store", limits, clock))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


def arrival(numbers: range, source: Source = SOURCE, entries: list[Entry] | None = None) -> Arrival:
    """Entries whose sequence is their number."""
    message = batch(entries or [entry(number) for number in numbers], numbers.start)
    return survey(source, message.SerializeToString(), message.batch)


def read_all(store: Store, cursor: int = 0) -> list[StoredEntry]:
    """Everything after a cursor, from the disk."""
    return select(store.read(cursor, EVERYTHING, 1_000), cursor, EntryFilter(Filter()))


def files(directory: Path) -> list[Path]:
    """The files of the store, oldest first."""
    return sorted((directory / "store").glob("violations-*.db"))


def test_entries_have_identity_and_growing_cursors(open_store: Callable[..., Store]) -> None:
    """Two sources do not mix; reading goes on after any cursor, also in the middle of a batch."""
    store = open_store()
    store.commit([arrival(range(1, 4)), arrival(range(1, 3), Source("node-2", "boot"))])
    found = read_all(store)
    assert [each.id for each in found] == [
        "node-1/boot/1", "node-1/boot/2", "node-1/boot/3", "node-2/boot/1", "node-2/boot/2",
    ]  # fmt: skip
    assert [each.cursor for each in found] == list(range(found[0].cursor, found[0].cursor + 5))
    assert read_all(store, found[1].cursor) == found[2:]
    assert store.count_after(found[1].cursor) == 3
    assert found[4].entry.violation.node == "node-2"


def test_what_comes_twice_is_kept_once(open_store: Callable[..., Store]) -> None:
    """Whole batches and parts of batches; in one commit or in several."""
    store = open_store()
    store.commit([arrival(range(1, 4)), arrival(range(1, 4))])
    store.commit([arrival(range(2, 6))])
    store.commit([arrival(range(1, 6))])
    assert stored_pids(read_all(store)) == [1, 2, 3, 4, 5]
    assert store.durable(SOURCE) == 5


def test_holes_in_sequences_are_allowed(open_store: Callable[..., Store]) -> None:
    """The spool gave something up; its gap says what."""
    store = open_store()
    store.commit([arrival(range(1, 3)), arrival(range(10, 12))])
    assert stored_pids(read_all(store)) == [1, 2, 10, 11]


def test_a_restart_forgets_nothing(open_store: Callable[..., Store]) -> None:
    """Entries, what is durable, and where cursors go on."""
    store = open_store()
    store.commit([arrival(range(1, 4))])
    before = read_all(store)
    store.close()
    again = open_store()
    assert again.durable(SOURCE) == 3
    again.commit([arrival(range(1, 6))])
    found = read_all(again)
    assert found[:3] == before
    assert [each.cursor - before[0].cursor for each in found] == [0, 1, 2, 3, 4]


def test_an_hour_is_a_file(open_store: Callable[..., Store], clock: Clock, tmp_path: Path) -> None:
    """Cursors grow from file to file, what is durable is carried over, and reading goes across."""
    store = open_store()
    store.commit([arrival(range(1, 3))])
    clock.now_s += 3_600
    store.commit([arrival(range(2, 5))])
    assert len(files(tmp_path)) == 2
    found = read_all(store)
    assert stored_pids(found) == [1, 2, 3, 4]
    assert [each.cursor for each in found] == sorted(each.cursor for each in found)
    assert read_all(store, found[0].cursor) == found[1:]
    store.close()
    assert open_store().durable(SOURCE) == 4


def test_a_clock_that_goes_back_does_not_take_cursors_back(open_store: Callable[..., Store], clock: Clock) -> None:
    """Cursors follow the clock forward only."""
    store = open_store()
    store.commit([arrival(range(1, 2))])
    clock.now_s -= 50 * 3_600
    store.close()
    again = open_store()
    again.commit([arrival(range(2, 3))])
    found = read_all(again)
    assert stored_pids(found) == [1, 2]
    assert found[0].cursor < found[1].cursor


def test_old_files_go_and_readers_are_told(open_store: Callable[..., Store], clock: Clock, tmp_path: Path) -> None:
    """By age; a reader whose cursor is before the removed files learns how many entries went, also after a restart."""
    store = open_store(StoreLimits(retain_s=7_200))
    store.commit([arrival(range(1, 6))])
    cursor = read_all(store)[1].cursor
    for hour in range(1, 5):
        clock.now_s += 3_600
        store.commit([arrival(range(5 + hour, 6 + hour))])
        store.retain()
    assert stored_pids(read_all(store)) == [7, 8, 9]
    assert store.expired_after(cursor)[1] == 6
    assert store.expired_after(read_all(store)[0].cursor) == (0, 0)
    store.close()
    assert open_store().expired_after(cursor)[1] == 6
    assert len(files(tmp_path)) == 3


def test_too_many_bytes_go_by_age_too(open_store: Callable[..., Store], tmp_path: Path) -> None:
    """A file is closed at an eighth of the limit, so that what is oldest can go; what is newest stays."""
    store = open_store(StoreLimits(retain_bytes=2_000_000))
    for start in range(1, 3_000, 100):
        numbers = range(start, start + 100)
        store.commit([arrival(numbers, entries=[entry(number, padding=900) for number in numbers])])
        store.retain()
    kept = stored_pids(read_all(store))
    assert kept == list(range(kept[0], 3_001))
    assert 1 < kept[0] < 2_900
    assert sum(path.stat().st_size for path in files(tmp_path)) < 2_600_000


def test_two_collectors_cannot_share_a_store(open_store: Callable[..., Store]) -> None:
    """The second one is told, and the first one is not disturbed."""
    first = open_store()
    with pytest.raises(UsageError, match="in use"):
        open_store()
    first.commit([arrival(range(1, 2))])
    assert stored_pids(read_all(first)) == [1]


def test_a_failed_commit_keeps_nothing(open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the entries nor what is durable; the next commit is as if there had been none."""
    store = open_store()
    store.commit([arrival(range(1, 2))])
    for error, kind in ((sqlite3.OperationalError("disk I/O error"), StoreFailed), (full(), StoreFull)):
        with monkeypatch.context() as patched:
            patched.setattr("bulkhead.collector.storefile.write_places", raising(error))
            with pytest.raises(kind, match="nothing is acknowledged"):
                store.commit([arrival(range(2, 4))])
        assert store.durable(SOURCE) == 1
        assert stored_pids(read_all(store)) == [1]
    store.commit([arrival(range(2, 4))])
    assert stored_pids(read_all(store)) == [1, 2, 3]


def full() -> sqlite3.OperationalError:
    """What SQLite raises when the disk takes no more."""
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def raising(error: Exception) -> Callable[..., None]:
    """A function that raises."""

    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("content", [b"", b"garbage" * 1_000])
def test_a_damaged_newest_file_is_set_aside(
    open_store: Callable[..., Store], clock: Clock, tmp_path: Path, content: bytes
) -> None:
    """The rest is served, cursors go on beyond anything that the damaged one may have given out."""
    store = open_store()
    store.commit([arrival(range(1, 3))])
    clock.now_s += 3_600
    store.commit([arrival(range(3, 5))])
    last = read_all(store)[-1].cursor
    store.close()
    files(tmp_path)[-1].write_bytes(content)
    again = open_store()
    again.commit([arrival(range(5, 6))])
    found = read_all(again)
    assert stored_pids(found) == [1, 2, 5]
    assert found[-1].cursor > last
    assert again.expired_after(found[1].cursor)[0] >= last
    assert len(list((tmp_path / "store").glob("*.damaged"))) == 1


def test_a_damaged_older_file_is_found_when_read(
    open_store: Callable[..., Store], clock: Clock, tmp_path: Path
) -> None:
    """Set aside, and from then on told as expired."""
    store = open_store()
    store.commit([arrival(range(1, 3))])
    clock.now_s += 3_600
    store.commit([arrival(range(3, 5))])
    files(tmp_path)[0].write_bytes(b"garbage" * 10_000)
    with pytest.raises(Damaged):
        read_all(store)
    assert stored_pids(read_all(store)) == [3, 4]
    assert store.expired_after(1)[0] > 0


def test_batches_are_found_by_what_is_in_them(open_store: Callable[..., Store]) -> None:
    """Only batches that can hold what is wanted are read; a gap that does not know is always wanted."""
    store = open_store()
    denied, audited = entry(1), entry(2, Verdict.VERDICT_AUDITED)
    audited.violation.pod = "web-0"
    unknown = Entry(gap=Gap(count=1))
    unknown.gap.last_time.seconds = 5_000
    for number, each in enumerate((denied, audited, unknown), 1):
        store.commit([arrival(range(number, number + 1), entries=[each])])

    def found(since_ns: int = 0, node: str = "", **wanted: object) -> list[int]:
        chosen = EntryFilter(Filter(node=node, **wanted), since_ns)  # type: ignore[arg-type]
        return [stored.first_cursor for stored in store.read(0, chosen.wanted(), 10)]

    first = store.head - 2
    assert found() == [first, first + 1, first + 2]
    assert found(pod="web-0") == [first + 1, first + 2]
    assert found(verdicts=[Verdict.VERDICT_DENIED]) == [first, first + 2]
    assert found(policy="web", pod="other") == [first + 2]
    assert found(since_ns=4_000 * 10**9) == [first + 2]
    assert found(node="node-2") == []


def test_agents_that_never_came_back_are_forgotten(open_store: Callable[..., Store], clock: Clock) -> None:
    """After a month, at the next file: nodes come and go, the table must not grow for ever."""
    store = open_store()
    store.commit([arrival(range(1, 2), Source("gone", "boot"))])
    clock.now_s += 31 * 86_400
    store.commit([arrival(range(1, 2))])
    assert (store.durable(Source("gone", "boot")), store.durable(SOURCE)) == (0, 1)
