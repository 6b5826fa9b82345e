"""Gap entries: what is told about violations that are counted only. Pure.

Entries that have to go are summed up by container and rule, so that a gap says whose violations are missing. Next
step: `report.spool` writes gaps like any other entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from bulkhead.report.clock import nanoseconds, timestamp
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict

# A storm that touches more containers and rules than this is told as one gap: naming each would be the next storm.
GROUPS_LIMIT = 64


def gap(reason: GapReason, detail: str, first_ns: int, last_ns: int, count: int = 0) -> Gap:
    """A gap that concerns several containers or is of unknown origin. Times are wall nanoseconds."""
    first_time, last_time = timestamp(first_ns), timestamp(last_ns)
    return Gap(reason=reason, detail=detail, count=count, first_time=first_time, last_time=last_time)


def summarize(entries: Iterable[Entry], reason: GapReason, detail: str) -> list[Gap]:
    """Gaps that stand for entries which were removed, one a container, rule and verdict; gaps among them count on."""
    groups: dict[tuple[str, str, int], Gap] = {}
    for entry in entries:
        lost = as_gap(entry)
        key = (lost.cgroup, lost.rule, lost.verdict)
        if key not in groups and len(groups) >= GROUPS_LIMIT:
            key = ("", "", Verdict.VERDICT_UNSPECIFIED)
            lost = Gap(count=lost.count, node=lost.node, first_time=lost.first_time, last_time=lost.last_time)
        if key in groups:
            widen(groups[key], lost)
        else:
            lost.reason, lost.detail = reason, detail
            groups[key] = lost
    return list(groups.values())


def as_gap(entry: Entry) -> Gap:
    """What remains to be said about an entry that is removed."""
    if entry.WhichOneof("kind") == "gap":
        copied = Gap()
        copied.CopyFrom(entry.gap)
        return copied
    lost = entry.violation
    return Gap(
        count=lost.count,
        node=lost.node,
        cgroup=lost.cgroup,
        rule=lost.rule_id,
        policy=lost.policy,
        policy_namespace=lost.policy_namespace,
        pod=lost.pod,
        namespace=lost.namespace,
        verdict=lost.verdict,
        first_time=lost.first_time,
        last_time=lost.last_time,
    )


def widen(into: Gap, other: Gap) -> None:
    """Adds `other` to `into`: counts add up, times span both."""
    into.count += other.count
    if nanoseconds(other.first_time) < nanoseconds(into.first_time):
        into.first_time.CopyFrom(other.first_time)
    if nanoseconds(other.last_time) > nanoseconds(into.last_time):
        into.last_time.CopyFrom(other.last_time)
