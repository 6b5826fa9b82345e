"""How many violations and gaps were taken down, by what they are: numbers for metrics. Next step: `report.spool`."""

from __future__ import annotations

from collections import Counter

from bulkhead.v1.violation_pb2 import Entry, GapReason, Verdict


class Told:
    """Since the start. Names are those of the protocol, in small letters and without their prefix."""

    def __init__(self) -> None:
        self.violations: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()
        self.gap_violations: Counter[str] = Counter()

    def add(self, entry: Entry) -> None:
        """One entry; a repeat counts as often as it happened."""
        if entry.HasField("gap"):
            reason = GapReason.Name(entry.gap.reason).removeprefix("GAP_REASON_").lower()
            self.gaps[reason] += 1
            self.gap_violations[reason] += entry.gap.count
        else:
            verdict = Verdict.Name(entry.violation.verdict).removeprefix("VERDICT_").lower()
            self.violations[verdict] += entry.violation.count
