"""The kernel's exact counters against what was told: the difference becomes gaps. Pure.

A violation is counted a moment before its record is written, so a reading of the counters is compared with what was
told by the time of the *next* reading: what was counted then and is not told now was lost. Read the counters first,
then drain the ring buffer and sweep the repeats, then settle. Next step: `report.reporter`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bulkhead import abi
from bulkhead.report.clock import timestamp
from bulkhead.report.decode import UNKNOWN_RULE, VERDICTS, Names
from bulkhead.report.identity import NOBODY
from bulkhead.v1.violation_pb2 import Gap, GapReason


class CounterName(NamedTuple):
    """struct counter_key: what violations are counted by."""

    container: int
    set: int
    rule: int
    verdict: int


class Shortfall(NamedTuple):
    """Violations that were counted and never told."""

    name: CounterName
    missing: int


class Ledger:
    """What was told so far, by counter, gaps included. `told` may be saved and given again (`report.ledger_file`)."""

    def __init__(self, told: Mapping[CounterName, int] | None = None) -> None:
        self.told: dict[CounterName, int] = dict(told or {})
        self._previous: dict[CounterName, int] = {}

    def add(self, name: CounterName, count: int) -> None:
        """`count` violations were told."""
        self.told[name] = self.told.get(name, 0) + count

    def settle(self, counters: Mapping[CounterName, int], quiet: bool = False) -> list[Shortfall]:
        """What is missing, each only once. `quiet`: nothing happens any more and everything was drained.

        A counter that shrank or went was removed by us with its container or set, and begins anew.
        """
        for name, before in self._previous.items():
            if counters.get(name, 0) < before:
                self.told.pop(name, None)
        basis = (
            counters if quiet else {name: min(before, counters.get(name, 0)) for name, before in self._previous.items()}
        )
        missing = []
        for name, counted in basis.items():
            count = counted - self.told.get(name, 0)
            if count > 0:
                missing.append(Shortfall(name, count))
                self.add(name, count)
        self._previous = dict(counters)
        return missing


def describe(missing: Iterable[Shortfall], names: Names, first_ns: int, last_ns: int, node: str) -> list[Gap]:
    """Gap entries for what is missing between two moments of wall time, nanoseconds."""
    gaps = []
    for name, count in missing:
        rule = names.rule(name.set, name.rule) or UNKNOWN_RULE
        who = names.container(name.container) or NOBODY
        gaps.append(
            Gap(
                count=count,
                node=node,
                cgroup=who.cgroup,
                rule=rule.id if rule.policy else "",
                policy=rule.policy,
                policy_namespace=rule.policy_namespace,
                pod=who.pod,
                namespace=who.namespace,
                verdict=VERDICTS.get(abi.Verdict(name.verdict)),
                reason=GapReason.GAP_REASON_KERNEL_FULL,
                detail="counted in the kernel, but there was no room for the record",
                first_time=timestamp(first_ns),
                last_time=timestamp(last_ns),
            )
        )
    return gaps
