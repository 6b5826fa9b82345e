"""What a spool directory holds when an agent starts: whole segments, and what is damaged.

Recovered is what stands before the first damage of each segment. Damage is cut off, so that it is found once, and
comes back as findings that `report.spool` tells as gaps. Files that are not of the spool are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bulkhead.log import get_log
from bulkhead.report.disk import Disk
from bulkhead.report.segment import HEADER_BYTES, SEQUENCE_LIMIT, Frame, Kind, scan, unpack_header

log = get_log()

SEGMENT_NAME = re.compile(r"([0-9]{20})\.segment")
LEFTOVER_NAME = re.compile(r"[0-9]{20}\.new")
LOCK_NAME = "lock"
EVERYTHING = 1 << 62
SKIPPED_SEQUENCES = 1 << 32  # more than any segment holds: what damage took is never numbered anew


@dataclass
class Segment:
    """A segment on disk. `size` is its durable length; `last_sequence` is below `first_sequence` while it is empty.

    `audited` counts the frames that go first when there is no room.
    """

    path: Path
    first_sequence: int
    last_sequence: int
    size: int
    audited: int = 0

    def add(self, frames: Iterable[Frame]) -> None:
        """Counts frames that were written to it."""
        for frame in frames:
            self.last_sequence = frame.sequence
            self.size += frame.size
            self.audited += frame.kind == Kind.AUDITED


@dataclass(frozen=True)
class Damage:
    """A segment that did not hold what was written. `lost` entries at most; 0 where that cannot be known."""

    segment: str
    what: str
    lost: int


@dataclass(frozen=True)
class Recovered:
    """A directory as it was found, repaired. `boot_id` is empty where no header could be read.

    `next_sequence` is above everything that any entry may ever have had.
    """

    segments: list[Segment]
    damages: list[Damage]
    boot_id: str
    next_sequence: int


def segment_path(directory: Path, first_sequence: int) -> Path:
    """Where the segment that begins with this sequence is."""
    return directory / f"{first_sequence:020d}.segment"


def recover(directory: Path, disk: Disk) -> Recovered:
    """Reads every segment, cuts off what is damaged, removes what holds nothing. Raises OSError."""
    paths = segment_files(directory, disk)
    segments: list[Segment] = []
    damages: list[Damage] = []
    boot_id = ""
    next_sequence = 1
    for index, path in enumerate(paths):
        following = number(paths[index + 1]) if index + 1 < len(paths) else 0
        data = disk.read(path)
        header = unpack_header(data)
        segment, what = (None, "empty") if not data else (None, "no header that can be believed")
        if header and header.first_sequence == number(path) >= next_sequence:
            boot_id = header.boot_id
            segment, what = survey(path, data)
        if what:
            damages.append(Damage(path.name, what, lost_entries(segment, path, following)))
            if not following:
                next_sequence = max(next_sequence, number(path)) + SKIPPED_SEQUENCES
        if segment:
            next_sequence = max(next_sequence, segment.last_sequence + 1)
        if segment and segment.last_sequence >= segment.first_sequence:
            segments.append(segment)
            if what:
                disk.cut(path, segment.size)
        else:
            disk.remove(path)
            next_sequence = max(next_sequence, header.first_sequence if header else 1)
    return Recovered(segments, damages, boot_id, next_sequence)


def segment_files(directory: Path, disk: Disk) -> list[Path]:
    """The segments in order; leftovers of an interrupted rewrite are removed, other files are named and left."""
    found = []
    for path in sorted(directory.iterdir()):
        if LEFTOVER_NAME.fullmatch(path.name):
            disk.remove(path)
        elif SEGMENT_NAME.fullmatch(path.name) and path.is_file() and number(path) < SEQUENCE_LIMIT:
            found.append(path)
        elif path.name != LOCK_NAME:
            log.warning("spool_file_ignored", path=str(path))
    return found


def survey(path: Path, data: bytes) -> tuple[Segment, str]:
    """The segment up to its first damage, and what that is."""
    first = number(path)
    scanned = scan(data, HEADER_BYTES, first - 1, EVERYTHING, EVERYTHING)
    segment = Segment(path, first, first - 1, HEADER_BYTES)
    segment.add(scanned.frames)
    return segment, scanned.damage


def lost_entries(segment: Segment | None, path: Path, following: int) -> int:
    """How many entries were behind the damage at most: known where another segment follows."""
    last = segment.last_sequence if segment else number(path) - 1
    return max(0, following - 1 - last) if following else 0


def number(path: Path) -> int:
    """The first sequence in a segment's name."""
    return int(path.name.split(".")[0])
