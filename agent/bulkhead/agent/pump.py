"""Carries violations from the kernel to the reporter: records as they come, repeats and counters every second.

Runs in a thread of its own, so that a slow policy change never keeps records waiting. Next step: `report.reporter`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from bulkhead import abi
from bulkhead.kernel.instance import Instance
from bulkhead.kernel.libbpf import RingReader
from bulkhead.kernel.tables import RepeatTable, read_counters
from bulkhead.report.reconcile import CounterName
from bulkhead.report.reporter import Reporter

POLL_MS = 100
SWEEP_S = 1.0


class Pump:
    """Reads one instance's records into one reporter, once. `after_flush` is called when all is passed on."""

    def __init__(self, instance: Instance, reporter: Reporter, after_flush: Callable[[], None] = lambda: None) -> None:
        self._after_flush = after_flush
        self._instance = instance
        self._reporter = reporter
        self._repeats = RepeatTable(instance.maps["repeats"])
        self._records: list[bytes] = []
        self._reader = RingReader(instance.maps["events"].descriptor, self._records.append)
        self._stopping = threading.Event()
        self._swept_at = 0.0

    def take_over(self, backlog: Sequence[bytes] = ()) -> None:
        """First, where the maps were kept: tell what happened while nobody read, and nothing twice.

        `backlog` are records that were read already, oldest first (`agent.backlog`).

        Repeats are counted since their entry was made, and part of them may have been told: no more than the exact
        counters leave room for.
        """
        counters = self._counters()
        self._records[:0] = backlog
        self._reader.consume()
        self._pass_on()
        told = self._reporter.ledger.told
        room = {name: count - told.get(name, 0) for name, count in counters.items()}
        swept = [(key, cap_repeat(key, value, room)) for key, value in self._repeats.sweep()]
        self._reporter.accept_swept(swept)
        self._reporter.flush()

    def run(self) -> None:
        """Until `stop` is called. What `report` cannot take any more raises through here."""
        while not self._stopping.is_set():
            self._reader.poll(POLL_MS)
            self._pass_on()
            if time.monotonic() - self._swept_at >= SWEEP_S:
                self._sweep()
            self._reporter.flush()
            self._after_flush()

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def finish(self) -> None:
        """After `run` has ended: take everything there is, and settle the account. Nothing happens any more."""
        counters = self._counters()
        self._reader.consume()
        self._pass_on()
        self._reporter.accept_swept(self._repeats.sweep(everything=True))
        self._reporter.accept_counters(counters, quiet=True)
        self._reporter.flush()
        self._reader.close()

    def _sweep(self) -> None:
        self._swept_at = time.monotonic()
        counters = self._counters()
        self._reader.consume()
        self._pass_on()
        self._reporter.accept_swept(self._repeats.sweep())
        self._reporter.accept_counters(counters)

    def _pass_on(self) -> None:
        records, self._records[:] = list(self._records), []
        if records:
            self._reporter.accept(records)

    def _counters(self) -> dict[CounterName, int]:
        return {CounterName(*name): count for name, count in read_counters(self._instance.maps["counters"]).items()}


def cap_repeat(key_bytes: bytes, value_bytes: bytes, room: dict[CounterName, int]) -> bytes:
    """The repeat with no more counted than there is room for; the room shrinks by it."""
    key, value = abi.RepeatKey.from_buffer_copy(key_bytes), abi.Repeat.from_buffer_copy(value_bytes)
    name = CounterName(key.container, key.set, key.rule, key.verdict)
    value.count = max(0, min(value.count, room.get(name, 0)))
    room[name] = room.get(name, 0) - value.count
    return bytes(value)
