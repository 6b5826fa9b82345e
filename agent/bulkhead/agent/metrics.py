"""What an agent is and does, as samples: read from those who do it, when Prometheus asks. Next step: `agent.vitals`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bulkhead.agent.sync import Sync
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream


def sync_samples(sync: Sync) -> Iterator[Sample]:
    """What is enforced, and what was done for it."""
    failed = lasting_failures(sync)
    yield Sample(catalog.CONTAINERS, len(sync.applied().keys() - failed), ("enforced",))
    yield Sample(catalog.CONTAINERS, len(failed), ("failed",))
    yield Sample(catalog.SYNC_CHANGES, sync.counts.changes)
    yield Sample(catalog.SYNC_FAILURES, sync.counts.failures)


def lasting_failures(sync: Sync) -> set[int]:
    """Cgroup ids of containers that are not as their policies say, and not only because a process has just ended."""
    return {failure.assignment.container.cgroup_id for failure in sync.failures() if not failure.passing}


def policy_samples(accepted: int, refused: int) -> Iterator[Sample]:
    """How many policies there are."""
    yield Sample(catalog.POLICIES, accepted, ("accepted",))
    yield Sample(catalog.POLICIES, refused, ("refused",))


def kernel_samples(statistics: Iterable[tuple[str, int]]) -> Iterator[Sample]:
    """What the kernel programs counted."""
    for name, count in statistics:
        yield Sample(catalog.KERNEL, count, (name,))


def delivery_samples(spool: Spool, stream: Stream | None) -> Iterator[Sample]:
    """What was taken down, what waits, and whether somebody takes it."""
    status = spool.status()
    told = (
        (catalog.VIOLATIONS, status.violations),
        (catalog.GAPS, status.gaps),
        (catalog.GAP_VIOLATIONS, status.gap_violations),
    )
    for metric, counts in told:
        for name, count in counts.items():
            yield Sample(metric, count, (name,))
    yield Sample(catalog.SPOOL_BYTES, status.disk_bytes)
    yield Sample(catalog.SPOOL_LIMIT, status.limit_bytes)
    yield Sample(catalog.SPOOL_PENDING, status.last_sequence - status.acknowledged)
    yield Sample(catalog.SPOOL_HELD, status.held_entries)
    yield Sample(catalog.SPOOL_DROPPED, status.dropped_entries)
    yield Sample(catalog.SPOOL_DAMAGED, status.damaged_segments)
    if stream:
        yield Sample(catalog.STREAM_CONNECTED, stream.connected)
        yield Sample(catalog.STREAM_FAILURES, stream.failures)
