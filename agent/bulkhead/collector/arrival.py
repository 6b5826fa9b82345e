"""A batch as it arrived, with what the store needs to know about it without parsing it again. Pure.

Next step: `collector.commits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from bulkhead.v1.ingest_pb2 import AgentMessage, Batch


class Facet(IntEnum):
    """What batches can be found by. The values are stored: never reuse one."""

    POLICY = 1
    NAMESPACE = 2
    POD = 3
    VERDICT = 4


ANY = ""  # facet of a gap that does not know: found whatever is asked for


@dataclass(frozen=True)
class Source:
    """Whose sequences these are: a node, and one life of its spool."""

    node: str
    boot_id: str


@dataclass(frozen=True)
class Arrival:
    """`message` is the serialized AgentMessage with the batch; times are wall nanoseconds of the accesses in it."""

    source: Source
    message: bytes
    entries: int
    first_sequence: int
    last_sequence: int
    first_ns: int
    last_ns: int
    facets: frozenset[tuple[int, str]]


def survey(source: Source, message: bytes, batch: Batch) -> Arrival:
    """Looks once at every entry of a checked, non-empty batch."""
    violations: set[tuple[str, str, str, int]] = set()
    gaps: set[tuple[str, str, str, int]] = set()
    seconds: set[int] = set()
    for entry in batch.entries:
        is_violation = entry.HasField("violation")
        told = entry.violation if is_violation else entry.gap
        (violations if is_violation else gaps).add((told.policy, told.namespace, told.pod, told.verdict))
        seconds.add(told.last_time.seconds)
    facets = {facet for known in violations for facet in describe(*known) if facet[1] != ANY}
    facets |= {facet for known in gaps for facet in describe(*known)}
    return Arrival(
        source=source,
        message=message,
        entries=len(batch.entries),
        first_sequence=batch.first_sequence,
        last_sequence=batch.last_sequence,
        first_ns=min(seconds) * 1_000_000_000,
        last_ns=(max(seconds) + 1) * 1_000_000_000,
        facets=frozenset(facets),
    )


def describe(policy: str, namespace: str, pod: str, verdict: int) -> tuple[tuple[int, str], ...]:
    """What an entry with these can be found by."""
    return (
        (Facet.POLICY, policy),
        (Facet.NAMESPACE, namespace),
        (Facet.POD, pod),
        (Facet.VERDICT, str(verdict) if verdict else ANY),
    )


def after(arrival: Arrival, durable: int) -> Arrival | None:
    """What of an arrival has sequences above `durable`; None where nothing has."""
    if arrival.first_sequence > durable:
        return arrival
    if arrival.last_sequence <= durable:
        return None
    batch = AgentMessage.FromString(arrival.message).batch
    fresh = [entry for entry in batch.entries if entry.sequence > durable]
    if not fresh:
        return None
    trimmed = Batch(first_sequence=fresh[0].sequence, last_sequence=fresh[-1].sequence, entries=fresh)
    return survey(arrival.source, AgentMessage(batch=trimmed).SerializeToString(), trimmed)
