"""Entries on the node's disk until a collector has acknowledged them.

A directory of append-only segments (`report.segment`); one append is one fsync. Bounded: when there is no room, the
oldest audits go first, then the oldest segments, and a gap says whose violations went. While the disk takes nothing,
entries stay in bounded memory, are served from there, and are written as soon as it does. One agent a directory: a
lock says so. Appending and reading may be in different threads. Next step: `report.stream` reads, sends, acknowledges.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Condition

from bulkhead.errors import Damaged, UsageError
from bulkhead.log import get_log
from bulkhead.report.disk import Disk
from bulkhead.report.gaps import gap, summarize
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.recovery import EVERYTHING, LOCK_NAME, Segment, recover, segment_path
from bulkhead.report.segment import HEADER_BYTES, Frame, Header, Kind, Scanned, pack_frames, pack_header, scan
from bulkhead.report.told import Told
from bulkhead.settings import BATCH_ENTRIES, MEBIBYTE, SpoolLimits
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict

log = get_log()

READ_BYTES = 2 * MEBIBYTE  # read ahead of the stream; larger than any entry


@dataclass(frozen=True)
class SpoolStatus:
    """For metrics. `damaged_segments`, `dropped_entries` and what was told, by name, count since the start."""

    last_sequence: int
    acknowledged: int
    disk_bytes: int
    limit_bytes: int
    held_entries: int
    damaged_segments: int
    dropped_entries: int
    violations: Mapping[str, int]
    gaps: Mapping[str, int]
    gap_violations: Mapping[str, int]


def lock_spool(directory: Path, disk: Disk) -> int:
    """A descriptor that keeps the spool, and with it the node, for one agent until it is closed.

    Raises `UsageError` where another agent has it, `Damaged` where it cannot be used.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return disk.lock(directory / LOCK_NAME)
    except BlockingIOError as error:
        raise UsageError(
            f"the spool {directory} is in use by another agent; what that one enforces stays enforced"
        ) from error
    except OSError as error:
        raise Damaged(f"the spool {directory} cannot be used: {error.strerror}") from error


class Spool:
    """See the module. Raises UsageError where another agent has the directory, Damaged where it cannot be used."""

    def __init__(
        self,
        directory: Path,
        node: NodeIdentity,
        limits: SpoolLimits | None = None,
        disk: Disk | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._directory, self._node = directory, node
        self._limits = limits or SpoolLimits()
        self._disk, self._wall_ns = disk or Disk(), wall_ns
        self._changed = Condition()
        self._held: deque[Frame] = deque()
        self._held_bytes = 0
        self._owed: list[Gap] = []
        self._active: Segment | None = None
        self._descriptor = -1
        self._acknowledged = self._damaged = self._dropped = 0
        self._told = Told()
        self._place = ("", 0, 0)  # where reading goes on: name of the segment, sequence read last, offset
        self._lock_descriptor = lock_spool(directory, self._disk)
        self._open()

    def _open(self) -> None:
        try:
            found = recover(self._directory, self._disk)
        except OSError as error:
            self._disk.close(self._lock_descriptor)
            raise Damaged(f"the spool {self._directory} cannot be read: {error.strerror}") from error
        self._segments = deque(found.segments)
        self._next_sequence = found.next_sequence
        self._last_sequence = found.segments[-1].last_sequence if found.segments else 0
        self.opened_at = self._last_sequence  # nobody can have got more than this from those before us
        self.boot_id = found.boot_id or self._new_boot_id()
        for damage in found.damages:
            self._report_damage(damage.segment, damage.what, damage.lost)
        with self._changed:
            self._write_what_waits()

    def _new_boot_id(self) -> str:
        return f"{self._node.boot_id[:8] or 'unknown'}-{secrets.token_hex(4)}"

    # Appending

    def append(self, entries: Iterable[Entry]) -> None:
        """Numbers the entries (sets `sequence` in each) and returns when they are durable, or held in memory."""
        frames = []
        with self._changed:
            for entry in entries:
                frames.append(self._frame(entry))
            self._hold(frames)
            self._write_what_waits()
            self._changed.notify_all()

    def retry(self) -> None:
        """Writes what the disk did not take before. Cheap where there is nothing of that kind."""
        with self._changed:
            self._write_what_waits()

    def _frame(self, entry: Entry) -> Frame:
        entry.sequence = self._next_sequence
        self._next_sequence += 1
        self._told.add(entry)
        if entry.HasField("gap"):
            kind = Kind.GAP
        elif entry.violation.verdict == Verdict.VERDICT_AUDITED:
            kind = Kind.AUDITED
        else:
            kind = Kind.KEPT
        return Frame(entry.sequence, kind, entry.SerializeToString())

    def _hold(self, frames: Sequence[Frame]) -> None:
        self._held.extend(frames)
        self._held_bytes += sum(frame.size for frame in frames)
        if frames:
            self._last_sequence = frames[-1].sequence

    def _write_what_waits(self) -> None:
        """Moves held frames and owed gaps to the disk; keeps them, within bounds, where it takes nothing."""
        try:
            self._write_held()
            while self._disk_bytes() > self._limits.bytes and self._make_room():
                pass
            owed, self._owed = self._owed, []
            self._hold([self._frame(Entry(gap=each)) for each in owed])
            self._write_held()
        except OSError as error:
            log.error("spool_write_failed", path=str(self._directory), error=error.strerror, held=len(self._held))
            self._bound_memory()

    def _write_held(self) -> None:
        if not self._held:
            return
        if self._active is None or self._active.size >= self._limits.segment_bytes:
            self._roll(self._held[0].sequence)
        assert self._active is not None
        try:
            self._disk.write(self._descriptor, pack_frames(self._held))
            self._disk.sync(self._descriptor)
        except OSError:
            self._undo_write(self._active)
            raise
        self._active.add(self._held)
        self._held.clear()
        self._held_bytes = 0

    def _undo_write(self, active: Segment) -> None:
        try:
            self._disk.rewind(self._descriptor, active.size)
        except OSError:
            self._leave_active()  # what is behind `size` is never read, and recovery will cut it off

    def _roll(self, first_sequence: int) -> None:
        self._leave_active()
        path = segment_path(self._directory, first_sequence)
        header = pack_header(Header(first_sequence, self.boot_id))
        descriptor = self._disk.create(path)
        try:
            self._disk.write(descriptor, header)
            self._disk.sync(descriptor)
            self._disk.sync_directory(self._directory)
        except OSError:
            self._disk.close(descriptor)
            self._disk.remove(path)
            raise
        self._descriptor = descriptor
        self._active = Segment(path, first_sequence, first_sequence - 1, HEADER_BYTES)
        self._segments.append(self._active)

    def _leave_active(self) -> None:
        if self._active is not None:
            self._disk.close(self._descriptor)
            self._active = None

    # Bounds

    def _disk_bytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def _make_room(self) -> bool:
        """Gives up the oldest audits, or else the oldest segment. False where only the active segment is left."""
        closed = [segment for segment in self._segments if segment is not self._active]
        if not closed:
            return False
        for segment in closed:
            if segment.audited:
                return self._strip(segment)
        return self._strip(closed[0], kept=())

    def _strip(self, segment: Segment, kept: Sequence[Kind] = (Kind.KEPT, Kind.GAP)) -> bool:
        """Rewrites a segment with only frames of `kept`, or removes it, and owes gaps for the rest."""
        scanned = self._scan_whole(segment)
        staying = [frame for frame in scanned.frames if frame.kind in kept]
        going = [frame for frame in scanned.frames if frame.kind not in kept]
        self._owe(going, GapReason.GAP_REASON_SPOOL_FULL, "the spool reached its limit of bytes")
        self._place = ("", 0, 0)
        try:
            self._rewrite(segment, staying)
        except OSError:  # a rewrite needs room, too
            self._owe(staying, GapReason.GAP_REASON_SPOOL_FULL, "the spool reached its limit of bytes")
            self._forget(segment)
        return True

    def _rewrite(self, segment: Segment, frames: Sequence[Frame]) -> None:
        if not frames:
            self._forget(segment)
            return
        header = self._disk.read(segment.path, 0, HEADER_BYTES)
        self._disk.replace(segment.path, header + pack_frames(frames))
        segment.size, segment.audited = HEADER_BYTES, 0
        segment.add(frames)

    def _scan_whole(self, segment: Segment) -> Scanned:
        data = self._disk.read(segment.path, 0, segment.size)
        scanned = scan(data, HEADER_BYTES, self._acknowledged, EVERYTHING, EVERYTHING)
        if scanned.damage:
            last = scanned.frames[-1].sequence if scanned.frames else segment.first_sequence - 1
            self._report_damage(segment.path.name, scanned.damage, segment.last_sequence - last)
        return scanned

    def _forget(self, segment: Segment) -> None:
        self._disk.remove(segment.path)
        self._segments.remove(segment)

    def _bound_memory(self) -> None:
        """Gives up held frames beyond the limit of memory: oldest audits first, then the oldest."""
        going: list[Frame] = []
        for kinds in ((Kind.AUDITED,), (Kind.KEPT, Kind.GAP)):
            staying: deque[Frame] = deque()
            for frame in self._held:
                if self._held_bytes > self._limits.memory_bytes and frame.kind in kinds:
                    self._held_bytes -= frame.size
                    going.append(frame)
                else:
                    staying.append(frame)
            self._held = staying
        self._owe(going, GapReason.GAP_REASON_DISK_FULL, "the spool's disk took no more, nor did memory")

    def _owe(self, frames: Sequence[Frame], reason: GapReason, detail: str) -> None:
        """Remembers that these entries must be told as gaps; those owed for the same reason are summed up."""
        if not frames:
            return
        self._dropped += len(frames)
        log.warning("spool_entries_dropped", entries=len(frames), reason=GapReason.Name(reason))
        same = [Entry(gap=each) for each in self._owed if each.reason == reason]
        others = [each for each in self._owed if each.reason != reason]
        gone = (Entry.FromString(frame.payload) for frame in frames)
        self._owed = others + summarize([*same, *gone], reason, detail)

    def _report_damage(self, segment: str, what: str, lost: int) -> None:
        self._damaged += 1
        log.error("spool_damage_found", segment=segment, damage=what, lost=lost)
        now = self._wall_ns()
        detail = f"segment {segment}: {what}"
        found = gap(GapReason.GAP_REASON_SPOOL_DAMAGED, detail, now, now, lost)
        found.node = self._node.name
        self._owed.append(found)

    # Reading and acknowledging

    def batches(self, after: int, entries: int = BATCH_ENTRIES, payload_bytes: int = MEBIBYTE) -> Iterator[list[Frame]]:
        """What there is after sequence `after`, in order, at most `entries` and about `payload_bytes` at a time."""
        while frames := self.read(after):
            batch: list[Frame] = []
            size = 0
            for frame in frames:
                if batch and (len(batch) >= entries or size + len(frame.payload) > payload_bytes):
                    yield batch
                    batch, size = [], 0
                batch.append(frame)
                size += len(frame.payload)
            yield batch
            after = frames[-1].sequence

    def read(self, after: int) -> list[Frame]:
        """Frames after sequence `after`, in order: about READ_BYTES of them, none where there are no more."""
        with self._changed:
            while segment := next((each for each in self._segments if each.last_sequence > after), None):
                if frames := self._read_segment(segment, after):
                    return frames
            return [frame for frame in self._held if frame.sequence > after]

    def _read_segment(self, segment: Segment, after: int) -> list[Frame]:
        """At least one frame, or none after the segment was cut to what `after` says."""
        known = self._place[:2] == (segment.path.name, after)
        offset = self._place[2] if known else HEADER_BYTES
        while offset < segment.size:
            want = min(READ_BYTES, segment.size - offset)
            try:
                data = self._disk.read(segment.path, offset, want)
            except OSError as error:
                return self._give_up_rest(segment, after, offset, f"unreadable: {error.strerror}")
            scanned = scan(data, 0, after, EVERYTHING, EVERYTHING)
            offset += scanned.end
            if scanned.frames:
                self._place = (segment.path.name, scanned.frames[-1].sequence, offset)
                return scanned.frames
            if not scanned.end:  # else the damage is only where this piece of the file ends
                return self._give_up_rest(segment, after, offset, scanned.damage or "shorter than it was")
        return self._give_up_rest(segment, after, offset, "entries are missing")

    def _give_up_rest(self, segment: Segment, after: int, offset: int, what: str) -> list[Frame]:
        """What stands from `offset` on in a segment cannot be read: cut off and told as a gap."""
        last = max(after, segment.first_sequence - 1)
        self._report_damage(segment.path.name, what, segment.last_sequence - last)
        if segment is self._active:
            self._leave_active()
        segment.size, segment.last_sequence = offset, last
        try:
            self._disk.cut(segment.path, offset)
        except OSError as error:
            log.error("spool_repair_failed", path=str(segment.path), error=error.strerror)
        self._write_what_waits()
        return []

    def wait(self, after: int, timeout_s: float) -> bool:
        """Returns when there is something after sequence `after`: True; or when the time is over: False."""
        with self._changed:
            return self._changed.wait_for(lambda: self._last_sequence > after, timeout_s)

    def acknowledge(self, sequence: int) -> None:
        """Everything up to `sequence` is durable elsewhere: what only holds such entries is deleted."""
        with self._changed:
            self._acknowledged = max(self._acknowledged, min(sequence, self._last_sequence))
            while self._held and self._held[0].sequence <= self._acknowledged:
                self._held_bytes -= self._held.popleft().size
            for segment in list(self._segments):
                if segment is not self._active and segment.last_sequence <= self._acknowledged:
                    self._forget(segment)

    def renew(self) -> None:
        """Begins a new life: the same entries under a new boot id, so that none is taken for an older one."""
        with self._changed:
            self.boot_id = self._new_boot_id()
            self._leave_active()
            log.warning("spool_renewed", boot_id=self.boot_id)

    def status(self) -> SpoolStatus:
        """How it stands, now."""
        with self._changed:
            return SpoolStatus(
                last_sequence=self._last_sequence,
                acknowledged=self._acknowledged,
                disk_bytes=self._disk_bytes(),
                limit_bytes=self._limits.bytes,
                held_entries=len(self._held),
                damaged_segments=self._damaged,
                dropped_entries=self._dropped,
                violations=dict(self._told.violations),
                gaps=dict(self._told.gaps),
                gap_violations=dict(self._told.gap_violations),
            )

    def close(self) -> None:
        """Tries once more to write what is held, and gives the directory back. A second call does nothing."""
        with self._changed:
            if self._lock_descriptor < 0:
                return
            self._write_what_waits()
            self._leave_active()
            self._disk.close(self._lock_descriptor)
            self._lock_descriptor = -1
            self._changed.notify_all()
