"""Keeps the ring buffer from running over while an agent loads programs, which takes seconds.

What an agent before left in the kernel goes on writing records; who reads them, the pump, begins when programs are
loaded. Until then this looks how full the buffer is, and takes what is in it into memory once it is half full. Before
that records are safer where they are: they outlive an agent that ends while it loads. Next step: `agent.pump`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from bulkhead import abi
from bulkhead.kernel import libbpf
from bulkhead.kernel.libbpf import RingReader
from bulkhead.kernel.ring import RingGauge
from bulkhead.log import get_log

TAKE_FROM_BYTES = abi.EVENT_BUFFER_BYTES // 2
KEPT_BYTES = 32 << 20  # half a minute of a thousand records a second; the rest stays in the buffer, and then is a gap
LOOK_S = 0.02

log = get_log()


class Backlog:
    """Records that were taken early, oldest first."""

    def __init__(self, events: int) -> None:
        """`events` is the ring buffer's descriptor. Raises `KernelUnable`."""
        self.records: list[bytes] = []
        self._bytes = 0
        self._gauge, self._reader = RingGauge(events), RingReader(events, self._keep)

    def read_while_full(self, stopping: threading.Event) -> None:
        """Look at the buffer until `stopping`; take what it holds whenever it is half full."""
        while not stopping.wait(LOOK_S):
            if self._gauge.bytes_waiting() >= TAKE_FROM_BYTES and self._bytes < KEPT_BYTES:
                self._reader.consume()

    def close(self) -> None:
        """What was not taken stays in the buffer."""
        self._reader.close()
        self._gauge.close()

    def _keep(self, record: bytes) -> None:
        self.records.append(record)
        self._bytes += len(record)


@contextlib.contextmanager
def reading_early(pins: Path) -> Iterator[list[bytes]]:
    """While the body runs, keep room in the ring buffer pinned there, if one is; the list grows until the body ends."""
    if not (pins / "maps/events").exists():
        yield []
        return
    with contextlib.ExitStack() as stack:
        events = libbpf.open_pinned(str(pins / "maps/events"))
        stack.callback(os.close, events)
        backlog, stopping = stack.enter_context(contextlib.closing(Backlog(events))), threading.Event()
        reader = threading.Thread(target=backlog.read_while_full, args=(stopping,), name="backlog", daemon=True)
        reader.start()
        stack.callback(reader.join)
        stack.callback(stopping.set)
        yield backlog.records
    if backlog.records:
        log.info("records_read_early", records=len(backlog.records))
