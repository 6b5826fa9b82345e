"""A damaged spool gives back everything before the damage, never garbage, and says that something is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.report.recovery import SKIPPED_SEQUENCES
from bulkhead.report.segment import FRAME, HEADER_BYTES
from bulkhead.report.spool import Spool
from bulkhead.settings import SpoolLimits
from bulkhead.v1.violation_pb2 import Entry, GapReason
from tests.unit.report.samples import NODE, entry, pids

LIMITS = SpoolLimits(segment_bytes=600)
ENTRIES = 20


def fill(directory: Path) -> list[Path]:
    """Twenty entries in several segments."""
    spool = Spool(directory, NODE, LIMITS)
    for number in range(1, ENTRIES + 1):
        spool.append([entry(number)])
    spool.close()
    return sorted(directory.glob("*.segment"))


def reopen(directory: Path) -> tuple[list[Entry], int]:
    """What the next agent finds, after it has added entry 1000; and the sequence that this one got."""
    spool = Spool(directory, NODE, LIMITS)
    added = entry(1_000)
    spool.append([added])
    found = [Entry.FromString(frame.payload) for batch in spool.batches(0) for frame in batch]
    spool.close()
    return found, added.sequence


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool to copy and damage."""
    directory = tmp_path_factory.mktemp("spool")
    fill(directory)
    return directory


def first_pid(segment: Path) -> int:
    """In `fill` the sequence equals the pid."""
    return int(segment.name.split(".")[0])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_anywhere_costs_only_what_is_behind_it(whole: Path, data: st.DataObject) -> None:
    """Cut or flip any byte of any segment: other segments are whole, this one up to the damage, and a gap tells."""
    with TemporaryDirectory() as name:
        directory = Path(name) / "spool"
        shutil.copytree(whole, directory)
        paths = sorted(directory.glob("*.segment"))
        index = data.draw(st.integers(0, len(paths) - 1))
        path = paths[index]
        content = path.read_bytes()
        offset = data.draw(st.integers(0, len(content) - 1))
        cut = data.draw(st.booleans())
        path.write_bytes(content[:offset] if cut else flipped(content, offset))
        found, _ = reopen(directory)
    following = first_pid(paths[index + 1]) if index + 1 < len(paths) else ENTRIES + 1
    frame_bytes = (len(content) - HEADER_BYTES) // (following - first_pid(path))
    survivors = max(0, offset - HEADER_BYTES) // frame_bytes if offset >= HEADER_BYTES else 0
    intact_until = first_pid(path) + survivors
    expected = [pid for pid in range(1, ENTRIES + 1) if pid < intact_until or pid >= following]
    assert pids(found) == [*expected, 1_000]
    at_frame_end = cut and (offset - HEADER_BYTES) % frame_bytes == 0 and offset >= HEADER_BYTES
    damaged = [each.gap for each in found if each.gap.reason == GapReason.GAP_REASON_SPOOL_DAMAGED]
    assert len(damaged) == (0 if at_frame_end else 1)


def flipped(content: bytes, offset: int) -> bytes:
    """One byte changed."""
    return content[:offset] + bytes([content[offset] ^ 0x41]) + content[offset + 1 :]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("cut in the header", lambda content: content[:10]),
        ("emptied", lambda content: b""),
        ("cut in a frame's head", lambda content: content[: HEADER_BYTES + FRAME.size - 1]),
        ("zeros at the end", lambda content: content[:-50] + bytes(50)),
    ],
)
def test_numbers_are_never_given_twice(tmp_path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    """What the damage took may have been sent: new entries get numbers far beyond."""
    newest = fill(tmp_path)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    found, sequence = reopen(tmp_path)
    assert sequence > SKIPPED_SEQUENCES, name
    assert [each.sequence for each in found] == sorted({each.sequence for each in found})


def test_a_lost_middle_is_counted(tmp_path: Path) -> None:
    """Where another segment follows, the gap says how many entries are missing, and it is told once."""
    paths = fill(tmp_path)
    paths[1].write_bytes(b"")
    missing = first_pid(paths[2]) - first_pid(paths[1])
    found, _ = reopen(tmp_path)
    damaged = [each.gap for each in found if each.HasField("gap")]
    assert [(gap.count, gap.node) for gap in damaged] == [(missing, "node-1")]
    again, _ = reopen(tmp_path)
    assert len([each for each in again if each.HasField("gap")]) == 1


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Alien names are neither read nor removed; leftovers of our own rewriting are removed."""
    fill(tmp_path)
    aliens = [tmp_path / "README", tmp_path / f"{1:019d}.segment", tmp_path / f"{9:020d}.segment.bak"]
    for alien in aliens:
        alien.write_bytes(b"mine")
    leftover = tmp_path / f"{1:020d}.new"
    leftover.touch()
    os.mkdir(tmp_path / f"{5:020d}.segment")
    found, _ = reopen(tmp_path)
    assert pids(found) == [*range(1, ENTRIES + 1), 1_000]
    assert all(alien.read_bytes() == b"mine" for alien in aliens)
    assert not leftover.exists()


def test_a_segment_twice_is_read_once(tmp_path: Path) -> None:
    """A copy under another name does not say what its name says."""
    paths = fill(tmp_path)
    shutil.copy(paths[0], tmp_path / f"{first_pid(paths[0]) + 1:020d}.segment")
    found, _ = reopen(tmp_path)
    assert sorted(set(pids(found))) == sorted(pids(found))


def test_damage_that_comes_while_running_is_found_when_reading(tmp_path: Path) -> None:
    """A bit that flips after the start: what is before it is read, what is behind it in the segment is a gap."""
    spool = Spool(tmp_path, NODE, SpoolLimits(segment_bytes=2_000))
    for number in range(1, ENTRIES + 1):
        spool.append([entry(number)])
    path = sorted(tmp_path.glob("*.segment"))[0]
    path.write_bytes(flipped(path.read_bytes(), HEADER_BYTES + FRAME.size + 5 + 3 * (path.stat().st_size // 20)))
    found = [Entry.FromString(frame.payload) for batch in spool.batches(0) for frame in batch]
    spool.close()
    read = pids(found)
    lost = [each.gap for each in found if each.HasField("gap")]
    assert read == sorted(read)
    assert 0 < len(read) < ENTRIES
    assert len(read) + sum(gap.count for gap in lost) == ENTRIES
