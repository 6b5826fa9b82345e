"""Which entries a reader wants: as conditions on batches for the store, and entry by entry. Pure.

A gap is wanted unless what it knows about itself contradicts the filter. A reader that is confined to its filter's
namespace learns of a gap that may concern it, and nothing of whom else it concerns. Next step: `collector.pages`.
"""

from __future__ import annotations

from bulkhead.collector.arrival import Facet
from bulkhead.collector.storefile import Wanted
from bulkhead.report.clock import nanoseconds
from bulkhead.v1.violation_pb2 import Entry, Gap
from bulkhead.v1.violations_pb2 import Filter

END_OF_TIME_NS = 1 << 63
VEILED = "how many of them are of this namespace is not known"


class EntryFilter:
    """A filter and a span of wall time, nanoseconds: from `since_ns` on, before `until_ns`.

    `confined`: for a reader that may know of the filter's namespace only.
    """

    def __init__(
        self, wanted: Filter, since_ns: int = 0, until_ns: int = END_OF_TIME_NS, *, confined: bool = False
    ) -> None:
        self._since_ns, self._until_ns = since_ns, until_ns
        self._confined_to = wanted.namespace if confined else ""
        self._node = wanted.node
        self._fields = [
            (name, getattr(wanted, name)) for name in ("policy", "namespace", "pod") if getattr(wanted, name)
        ]
        self._verdicts = frozenset(wanted.verdicts)
        self.everything = not (self._fields or self._verdicts or since_ns or until_ns != END_OF_TIME_NS)

    def wanted(self) -> Wanted:
        """What the store needs to leave out batches that hold nothing wanted."""
        kinds = {"policy": Facet.POLICY, "namespace": Facet.NAMESPACE, "pod": Facet.POD}
        facets: list[tuple[int, tuple[str, ...]]]
        facets = [(int(kinds[name]), (value,)) for name, value in self._fields]
        if self._verdicts:
            facets.append((int(Facet.VERDICT), tuple(str(verdict) for verdict in sorted(self._verdicts))))
        return Wanted(self._node, self._since_ns, tuple(facets))

    def admits_node(self, node: str) -> bool:
        """Whether entries of this node are wanted at all."""
        return not self._node or node == self._node

    def admits(self, entry: Entry) -> bool:
        """Whether this entry is wanted, its node apart."""
        if self.everything:
            return True
        is_gap = entry.HasField("gap")
        told = entry.gap if is_gap else entry.violation
        for name, value in self._fields:
            has = getattr(told, name)
            if has != value and (has or not is_gap):
                return False
        if is_gap and self._confined_to and not self._may_concern(entry.gap):
            return False
        if self._verdicts and told.verdict not in self._verdicts and (told.verdict or not is_gap):
            return False
        return self._since_ns <= nanoseconds(told.last_time) and nanoseconds(told.first_time) < self._until_ns

    def veil(self, entry: Entry) -> None:
        """Takes out of a gap that may be of others, too, what a confined reader may not know of them. Before `admits`,
        or what is asked for would tell what the answer does not.
        """
        gap = entry.gap
        if not self._confined_to or not entry.HasField("gap"):
            return
        whose = (gap.namespace, gap.policy_namespace)  # empty, or others' alone, and then it is not admitted
        if self._confined_to not in whose:
            told = Gap(node=gap.node, reason=gap.reason, detail=VEILED, namespace=whose[0], policy_namespace=whose[1])
            told.first_time.CopyFrom(gap.first_time)
            told.last_time.CopyFrom(gap.last_time)
            gap.CopyFrom(told)

    def _may_concern(self, gap: Gap) -> bool:
        """Not where it is of another namespace's policy, which selects pods there only."""
        return bool(gap.namespace) or gap.policy_namespace in ("", self._confined_to)
