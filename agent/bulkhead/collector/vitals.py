"""Whether the collector is alive and ready, by HTTP and by gRPC's own protocol, and its metrics.

Ready is a collector that takes violations: it serves, and its store did not fail when it was last written to. The same
is said of the service Ingest by gRPC; the other services go on while a store cannot be written. Next step:
`monitoring.server`, `collector.commits`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from bulkhead.collector.access import Why
from bulkhead.collector.commits import Commits
from bulkhead.collector.ingest import Ingest
from bulkhead.collector.readers import Violations
from bulkhead.collector.store import Store
from bulkhead.monitoring import catalog
from bulkhead.monitoring.checks import WELL, Check, Health, Heartbeat
from bulkhead.monitoring.exposition import Exposition, Sample

BEAT_S = 1.0
LOOP_S = 60.0  # the event loop comes round in milliseconds
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
INGEST, VIOLATIONS = "bulkhead.v1.Ingest", "bulkhead.v1.Violations"
OVERALL = ""


class Vitals:
    """One collector's. `servicer` answers for it by gRPC."""

    def __init__(self) -> None:
        self.exposition = Exposition("collector")
        self.took = self.exposition.durations(catalog.COMMIT_DURATION)
        self.servicer = aio.HealthServicer()
        self._loop = Heartbeat(LOOP_S)
        self._commits: Commits | None = None

    def health(self) -> Health:
        """The checks."""
        return Health(
            alive=(Check("loop", self._loop.ask),),
            ready=(Check("loop", self._loop.ask), Check("store", self._store_fails)),
        )

    def watch(
        self, store: Store, limit_bytes: int, commits: Commits, ingest: Ingest, readers: Sequence[Violations]
    ) -> None:
        """These are the parts that serve; `readers` by certificate, and by token where there is such a service."""
        self._commits = commits
        self.exposition.add(lambda: store_samples(store, limit_bytes))
        self.exposition.add(lambda: service_samples(commits, ingest, readers))

    async def run(self) -> None:
        """Keeps what gRPC says true, until it is cancelled."""
        while True:
            self._loop.beat()
            takes = SERVING if not self._store_fails() else NOT_SERVING
            for service, status in ((OVERALL, takes), (INGEST, takes), (VIOLATIONS, SERVING)):
                await self.servicer.set(service, status)
            await asyncio.sleep(BEAT_S)

    def _store_fails(self) -> str:
        if self._commits is None:
            return "does not serve yet"
        return "cannot be written: agents keep what they have; the log says why" if self._commits.wrong else WELL


def store_samples(store: Store, limit_bytes: int) -> Iterator[Sample]:
    """What the store takes."""
    files, taken = store.size()
    yield Sample(catalog.STORE_FILES, files)
    yield Sample(catalog.STORE_BYTES, taken)
    yield Sample(catalog.STORE_LIMIT, limit_bytes)


def service_samples(commits: Commits, ingest: Ingest, readers: Sequence[Violations]) -> Iterator[Sample]:
    """Who is there, who may not be, and what came."""
    yield Sample(catalog.AGENTS, ingest.connected)
    yield Sample(catalog.REFUSED, ingest.refused)
    yield Sample(catalog.SUBSCRIBERS, sum(each.subscribers for each in readers))
    refusals = sum((each.refusals for each in readers), Counter(ingest.refusals))
    for why in Why:
        yield Sample(catalog.REFUSED_CALLERS, refusals[why], (why.value,))
    yield Sample(catalog.RECEIVED, commits.counts.received)
    yield Sample(catalog.COMMITTED, commits.counts.committed)
    yield Sample(catalog.COMMIT_FAILURES, commits.counts.failures)
    yield Sample(catalog.QUEUE, commits.waiting())
