"""Whether the agent is alive and ready, and its metrics: what `monitoring.server` tells.

Ready is the agent whose kernel enforces all that it was told: programs are loaded, the source has been heard in full
once, the last look was a moment ago, and no container is behind. An API server or a collector that is away makes no
difference to that: the watches' and the stream's metrics tell of those. Next step: `agent.metrics`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext

from bulkhead.agent.metrics import delivery_samples, kernel_samples, lasting_failures, sync_samples
from bulkhead.agent.sync import Sync
from bulkhead.monitoring import catalog
from bulkhead.monitoring.checks import WELL, Check, Health, Heartbeat
from bulkhead.monitoring.exposition import Exposition, Reader
from bulkhead.monitoring.server import MonitoringServer
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream

PUMP_S = 120.0  # a round takes milliseconds; a disk that is slow to sync, seconds
LOOK_S = 600.0  # the largest policy takes a minute to work out on a busy node
CURRENT_S = 60.0  # a look that is older says nothing about now


class Vitals:
    """One agent's. Until `watch` is called nothing is enforced by it, and it is not ready."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.pump = Heartbeat(PUMP_S, clock)
        self.looks = Heartbeat(LOOK_S, clock)
        self._exposition = Exposition("agent")
        self._took = self._exposition.durations(catalog.SYNC_DURATION)
        self._current = Heartbeat(CURRENT_S, clock)
        self._sync: Sync | None = None

    def serve(self, address: str) -> AbstractContextManager[object]:
        """Answer at `address` from now on, until the context ends; nowhere, where it is empty."""
        return closing(MonitoringServer(address, self._exposition, self.health())) if address else nullcontext()

    def health(self) -> Health:
        """The checks."""
        return Health(
            alive=(Check("pump", self.pump.ask), Check("sync", self.looks.ask)),
            ready=(Check("programs", self._programs), Check("sync", self._synced), Check("containers", self._behind)),
        )

    def watch(self, sync: Sync, statistics: Callable[[], dict[str, int]], source: Reader) -> None:
        """The programs are loaded; this is what makes things so, what the kernel counts, and what the source says."""
        self._sync = sync
        self._exposition.add(lambda: sync_samples(sync))
        self._exposition.add(lambda: kernel_samples(statistics().items()))
        self._exposition.add(source)

    def watch_delivery(self, spool: Spool, stream: Stream | None) -> None:
        """Where violations go."""
        self._exposition.add(lambda: delivery_samples(spool, stream))

    def looked(self, changed: int, took_s: float) -> None:
        """Sync has looked once."""
        self.looks.beat()
        self._current.beat()
        if changed:
            self._took(took_s)

    def _programs(self) -> str:
        return WELL if self._sync else "not loaded yet; what an earlier agent enforced goes on"

    def _synced(self) -> str:
        if self._sync is None or not self._sync.synced.is_set():
            return "policies and containers are not known yet; what an earlier agent enforced goes on"
        return self._current.ask()

    def _behind(self) -> str:
        behind = len(lasting_failures(self._sync)) if self._sync else 0
        return f"{behind} not as their policies say; the log and the NodeState say why" if behind else WELL
