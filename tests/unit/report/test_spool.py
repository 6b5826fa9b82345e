"""What was appended is read back, in order, within bounds, and whatever went is told as a gap."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkhead.errors import Damaged, UsageError
from bulkhead.report.disk import Disk
from bulkhead.report.spool import Spool
from bulkhead.settings import SpoolLimits
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict
from tests.unit.report.samples import NODE, entry, pids

SMALL = SpoolLimits(bytes=40_000, segment_bytes=8_000, memory_bytes=4_000)


class FailingDisk(Disk):
    """A disk that refuses writes with the error it is told."""

    error = 0

    def write(self, descriptor: int, data: bytes) -> None:
        """Writes half of the data before it fails, as a full disk does."""
        if self.error:
            super().write(descriptor, data[: len(data) // 2])
            raise OSError(self.error, os.strerror(self.error))
        super().write(descriptor, data)


def contents(spool: Spool, after: int = 0) -> list[Entry]:
    """Everything after a sequence."""
    return [Entry.FromString(frame.payload) for batch in spool.batches(after) for frame in batch]


def gaps(entries: list[Entry]) -> list[Gap]:
    """The gaps among entries."""
    return [each.gap for each in entries if each.HasField("gap")]


@pytest.fixture
def open_spool(tmp_path: Path) -> Iterator[Callable[..., Spool]]:
    """Opens spools in one directory and closes those that the test left open."""
    opened: list[Spool] = []

    def opener(limits: SpoolLimits | None = None, disk: Disk | None = None) -> Spool:
        opened.append(Spool(tmp_path, NODE, limits, disk, wall_ns=lambda: 5_000_000_000))
        return opened[-1]

    yield opener
    for spool in opened:
        spool.close()


def segments(directory: Path) -> list[Path]:
    """The segments on disk, oldest first."""
    return sorted(directory.glob("*.segment"))


def test_entries_come_back_numbered_and_in_order(open_spool: Callable[..., Spool]) -> None:
    """Sequences count from 1 and are in the entries; reading begins after any of them."""
    spool = open_spool()
    spool.append([entry(1), entry(2)])
    spool.append([entry(3)])
    assert [each.sequence for each in contents(spool)] == [1, 2, 3]
    assert pids(contents(spool, after=1)) == [2, 3]
    assert contents(spool, after=3) == []


def test_batches_are_bounded(open_spool: Callable[..., Spool]) -> None:
    """Neither more entries nor more bytes than asked for, but always at least one."""
    spool = open_spool()
    spool.append([entry(number, padding=1_000) for number in range(10)])
    assert [len(batch) for batch in spool.batches(0, entries=4)] == [4, 4, 2]
    assert [len(batch) for batch in spool.batches(0, payload_bytes=2_500)] == [2] * 5
    assert [len(batch) for batch in spool.batches(0, payload_bytes=1)] == [1] * 10


def test_a_restart_goes_on_where_it_was(open_spool: Callable[..., Spool]) -> None:
    """Entries, numbering and boot id outlive the agent."""
    spool = open_spool()
    spool.append([entry(1)])
    spool.close()
    again = open_spool()
    again.append([entry(2)])
    assert again.boot_id == spool.boot_id
    assert [(each.sequence, each.violation.process.pid) for each in contents(again)] == [(1, 1), (2, 2)]


def test_a_spool_that_was_lost_gets_another_boot_id(open_spool: Callable[..., Spool], tmp_path: Path) -> None:
    """Numbers begin anew, so a collector must not take them for the old ones."""
    spool = open_spool()
    spool.append([entry(1)])
    spool.close()
    segments(tmp_path)[0].unlink()
    assert open_spool().boot_id != spool.boot_id


def test_acknowledged_segments_are_deleted(open_spool: Callable[..., Spool], tmp_path: Path) -> None:
    """Only whole segments, and never the one that is being written."""
    spool = open_spool(SMALL)
    for number in range(30):
        spool.append([entry(number, padding=900)])
    before = len(segments(tmp_path))
    spool.acknowledge(15)
    assert 0 < len(segments(tmp_path)) < before
    spool.acknowledge(30)
    assert len(segments(tmp_path)) == 1
    assert spool.status().acknowledged == 30


def test_the_oldest_audits_go_first(open_spool: Callable[..., Spool]) -> None:
    """Over the limit audits go before denials, and a gap says how many of which rule."""
    spool = open_spool(SMALL)
    for number in range(60):
        verdict = Verdict.VERDICT_AUDITED if number % 2 else Verdict.VERDICT_DENIED
        spool.append([entry(number, verdict, padding=900)])
    kept = contents(spool)
    lost = gaps(kept)
    assert set(range(0, 60, 2)) <= set(pids(kept))
    assert {gap.verdict for gap in lost} == {Verdict.VERDICT_AUDITED}
    assert sum(gap.count for gap in lost) + len(pids(kept)) == 60
    assert {(gap.rule, gap.cgroup, gap.reason) for gap in lost} == {
        ("shop/web/exec/r", "/c", GapReason.GAP_REASON_SPOOL_FULL)
    }
    assert spool.status().disk_bytes <= SMALL.bytes


def test_then_the_oldest_segments_go(open_spool: Callable[..., Spool]) -> None:
    """Without audits the oldest entries go; what is left and what the gaps count is everything."""
    spool = open_spool(SMALL)
    for number in range(200):
        spool.append([entry(number, padding=900)])
    kept = contents(spool)
    assert pids(kept) == list(range(200 - len(pids(kept)), 200))
    assert sum(gap.count for gap in gaps(kept)) + len(pids(kept)) == 200
    assert [each.sequence for each in kept] == sorted({each.sequence for each in kept})


def test_a_full_disk_keeps_entries_in_memory(open_spool: Callable[..., Spool]) -> None:
    """They are served from there, and written once the disk takes them; half a write is undone."""
    disk = FailingDisk()
    spool = open_spool(SMALL, disk)
    spool.append([entry(1)])
    disk.error = errno.ENOSPC
    spool.append([entry(2), entry(3)])
    assert spool.status().held_entries == 2
    assert pids(contents(spool)) == [1, 2, 3]
    disk.error = 0
    spool.retry()
    assert spool.status().held_entries == 0
    spool.close()
    again = open_spool(SMALL)
    assert pids(contents(again)) == [1, 2, 3]
    assert gaps(contents(again)) == []


def test_memory_is_bounded_too(open_spool: Callable[..., Spool]) -> None:
    """What does not fit is counted, audits first, and told when the disk is back."""
    disk = FailingDisk()
    spool = open_spool(SMALL, disk)
    disk.error = errno.ENOSPC
    for number in range(40):
        verdict = Verdict.VERDICT_AUDITED if number % 2 else Verdict.VERDICT_DENIED
        spool.append([entry(number, verdict, padding=100)])
    disk.error = 0
    spool.retry()
    kept = contents(spool)
    lost = gaps(kept)
    assert {gap.reason for gap in lost} == {GapReason.GAP_REASON_DISK_FULL}
    assert sum(gap.count for gap in lost) + len(pids(kept)) == 40
    assert lost[0].verdict == Verdict.VERDICT_AUDITED


def test_an_acknowledgement_frees_memory(open_spool: Callable[..., Spool]) -> None:
    """What a collector has need not be written any more."""
    disk = FailingDisk()
    spool = open_spool(SMALL, disk)
    disk.error = errno.EIO
    spool.append([entry(1), entry(2)])
    spool.acknowledge(1)
    assert pids(contents(spool)) == [2]


def test_two_agents_cannot_share_a_spool(open_spool: Callable[..., Spool]) -> None:
    """The second one is told so, and the first one is not disturbed."""
    first = open_spool()
    with pytest.raises(UsageError, match="in use by another agent"):
        open_spool()
    first.append([entry(1)])
    assert pids(contents(first)) == [1]


def test_a_directory_that_cannot_be_is_damage(tmp_path: Path) -> None:
    """Said with the path."""
    (tmp_path / "file").touch()
    with pytest.raises(Damaged, match="file"):
        Spool(tmp_path / "file", NODE)


def test_a_new_life_sends_the_same_entries(open_spool: Callable[..., Spool]) -> None:
    """`renew` changes the boot id only, also for the next agent."""
    spool = open_spool()
    spool.append([entry(1)])
    before = spool.boot_id
    spool.renew()
    spool.append([entry(2)])
    renewed = spool.boot_id
    spool.close()
    assert renewed != before
    assert open_spool().boot_id == renewed


@contextmanager
def tiny_file_system(directory: Path) -> Iterator[None]:
    """A tmpfs of 64 KiB on `directory`, or a skipped test."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", directory], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("cannot mount a tmpfs here")
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def test_a_file_system_that_is_really_full(tmp_path: Path) -> None:
    """With 64 KiB for 100 KiB of entries everything is still there, on disk or in memory."""
    directory = tmp_path / "tiny"
    with tiny_file_system(directory):
        spool = Spool(directory, NODE, SpoolLimits(segment_bytes=16_000, memory_bytes=200_000))
        for number in range(100):
            spool.append([entry(number, padding=1_000)])
        assert spool.status().held_entries > 0
        assert pids(contents(spool)) == list(range(100))
        spool.acknowledge(60)
        spool.append([entry(100)])
        assert pids(contents(spool, after=60)) == list(range(60, 101))
        spool.close()
