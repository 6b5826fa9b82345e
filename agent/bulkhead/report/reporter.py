"""Everything that the kernel tells, gathered and passed on: records, swept repeats, counters, gaps.

One thread calls it: the agent's loop feeds it and calls `flush` at least every 100 ms. What `flush` returns from is in
every sink: durable in the spool, written to the file. Next step: `report.spool`, from there `report.stream`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bulkhead import abi
from bulkhead.errors import Damaged
from bulkhead.log import get_log
from bulkhead.report import reconcile
from bulkhead.report.clock import measure_offset_ns
from bulkhead.report.decode import RECORD_BYTES, Names, describe, parse
from bulkhead.report.enrich import enrich
from bulkhead.report.gaps import gap
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.reconcile import CounterName, Ledger
from bulkhead.report.render import to_json
from bulkhead.report.repeats import Repeats
from bulkhead.settings import BATCH_ENTRIES
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Violation

log = get_log()

ENRICHED_AT_ONCE = 200  # of the records of one call: /proc costs 100 us each, and in a storm the kernel's word must do
KEY_OFFSET = abi.Record.repeat.offset


class Sink(Protocol):
    """Where entries go."""

    def append(self, entries: Sequence[Entry]) -> None:
        """Returns when they are there. May set `sequence`."""

    def retry(self) -> None:
        """Called at each flush, also when there is nothing new."""


class JsonLines:
    """A file of JSON objects, one a line. Entries that no spool numbered are numbered here, from 1."""

    def __init__(self, file: IO[str], node: NodeIdentity) -> None:
        self._file, self._node = file, node
        self._sequence = 0

    def append(self, entries: Sequence[Entry]) -> None:
        """Writes and flushes."""
        for entry in entries:
            self._sequence += 1
            number = entry.sequence or self._sequence
            identity = f"{self._node.name}/{self._node.boot_id}/{number}"
            self._file.write(json.dumps(to_json(entry, identity, number), ensure_ascii=False) + "\n")
        self._file.flush()

    def retry(self) -> None:
        """Nothing is ever held back here."""


@dataclass(frozen=True)
class Surroundings:
    """What a reporter asks of the machine: wall time less boot time, wall time, and what /proc adds."""

    offset_ns: Callable[[], int] = measure_offset_ns
    wall_ns: Callable[[], int] = time.time_ns
    look_up: Callable[[Violation], None] = enrich


HERE = Surroundings()


class Reporter:
    """See the module."""

    def __init__(
        self,
        names: Names,
        node: NodeIdentity,
        sinks: Sequence[Sink],
        ledger: Ledger | None = None,
        around: Surroundings = HERE,
    ) -> None:
        self._names, self._node, self._sinks, self._around = names, node, sinks, around
        self.ledger = ledger or Ledger()
        self._repeats = Repeats(names)
        self._pending: list[Entry] = []
        self._settled_ns = around.wall_ns()
        self.damaged = 0

    def accept(self, records: Iterable[bytes]) -> None:
        """Records of the ring buffer, in its order."""
        offset_ns = self._around.offset_ns()
        for index, record in enumerate(records):
            try:
                self._accept_record(record, offset_ns, look_up=index < ENRICHED_AT_ONCE)
            except Damaged as error:
                self._accept_damage(record, error)

    def _accept_record(self, record: bytes, offset_ns: int, look_up: bool) -> None:
        raw = parse(record)
        violation = describe(raw, self._names, offset_ns)
        violation.node = self._node.name
        if look_up:
            self._around.look_up(violation)
        self._repeats.remember(raw.repeat, violation)
        self._add(Entry(violation=violation))
        self.ledger.add(counter_name(raw.repeat), 1)

    def _accept_damage(self, record: bytes, error: Damaged) -> None:
        """A record that makes no sense is told as a gap; of one if its counter is known, else the counter will tell."""
        self.damaged += 1
        log.error("record_damaged", error=str(error))
        attributed = len(record) >= RECORD_BYTES
        if attributed:
            self.ledger.add(counter_name(abi.RepeatKey.from_buffer_copy(record, KEY_OFFSET)), 1)
        now = self._around.wall_ns()
        self.accept_gaps([gap(GapReason.GAP_REASON_RECORD_DAMAGED, str(error), now, now, int(attributed))])

    def accept_swept(self, swept: Iterable[tuple[bytes, bytes]]) -> None:
        """Entries taken out of the map `repeats`: struct repeat_key and struct repeat."""
        offset_ns = self._around.offset_ns()
        for entry in swept:
            try:
                told = self._repeats.tell([entry], offset_ns)
            except Damaged as error:
                self._accept_damage(b"", error)
                continue
            for key, violation in told:
                violation.node = self._node.name
                self._add(Entry(violation=violation))
                self.ledger.add(counter_name(key), violation.count)

    def accept_gaps(self, gaps: Iterable[Gap]) -> None:
        """Losses that somebody else counted."""
        for each in gaps:
            each.node = self._node.name
            self._add(Entry(gap=each))

    def accept_counters(self, counters: Mapping[CounterName, int], quiet: bool = False) -> None:
        """A reading of the kernel's counters, made before what was last accepted was drained: see `reconcile`."""
        now = self._around.wall_ns()
        missing = self.ledger.settle(counters, quiet)
        self.accept_gaps(reconcile.describe(missing, self._names, self._settled_ns, now, self._node.name))
        self._settled_ns = now

    def _add(self, entry: Entry) -> None:
        self._pending.append(entry)
        if len(self._pending) >= BATCH_ENTRIES:
            self.flush()

    def flush(self) -> None:
        """Passes on what was accepted; lets sinks try again what they could not do before."""
        pending, self._pending = self._pending, []
        for sink in self._sinks:
            if pending:
                sink.append(pending)
            else:
                sink.retry()

    def close(self) -> None:
        """Passes on the rest. The sinks stay open: they are whoever's made them."""
        self.flush()


def counter_name(key: abi.RepeatKey) -> CounterName:
    """Under which counter the kernel counted a violation."""
    return CounterName(key.container, key.set, key.rule, key.verdict)


def open_json_lines(path: Path) -> IO[str]:
    """A file for JsonLines, emptied. Names that cannot be encoded never come here: they were escaped."""
    return path.open("w", encoding="utf-8")
