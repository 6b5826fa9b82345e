"""The node's own processes: which cgroups of theirs are under which ClusterSecurityPolicies.

The hierarchy is looked at each time, because services come and go without the API server's knowing. A cgroup that is
made below one under a policy inherits it in the kernel; one that a policy names itself is found at the next look. Next
step: `agent.cluster.source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bulkhead.agent.cluster.accepted import Accepted
from bulkhead.agent.cluster.state import Snapshot
from bulkhead.agent.source import Assignment
from bulkhead.enforcement.node_mounts import FIRST_PROCESS
from bulkhead.kube.policy_key import PolicyKey
from bulkhead.node.container import Container
from bulkhead.node.host import Layout, Unit, has_processes, layout
from bulkhead.policy.pattern_steps import Patterns
from bulkhead.policy.rules import PolicyRules, Section
from bulkhead.policy.select import cgroup_patterns, selects_host

NO_PACKETS = (
    "network.egress does not hold for processes in this cgroup itself, because it would for packets of pods below, or "
    "of cgroups that are under other policies, too; all else is enforced"
)
LABELS_UNKNOWN = "the labels of this node are not known yet"


@dataclass(frozen=True)
class OfNode:
    """Cgroups of the node's own processes, as `agent.cluster.source.Selected` is a container.

    `undecided` are policies that may hold for them, for the reason that is `unknown`, or that hold but for what is
    `missing`.
    """

    title: str
    policies: tuple[Accepted, ...]
    rules: tuple[PolicyRules, ...]
    undecided: tuple[Accepted, ...] = ()
    unknown: str = ""
    missing: str = ""


class HostProcesses:
    """Of one node, whose hierarchy is at `root`. `spared` are cgroups that no policy of the node holds for."""

    def __init__(self, root: Path, spared: frozenset[Path] = frozenset()) -> None:
        self._root, self._spared = root, spared
        self._held: frozenset[PolicyKey] = frozenset()
        self._policies: tuple[tuple[Accepted, bool | None], ...] = ()
        self._patterns: dict[PolicyKey, Patterns] = {}
        self._version = -1
        self.layout: Layout[PolicyKey] = Layout()
        self.placed: Mapping[int, OfNode] = {}

    def look(self, snapshot: Snapshot) -> tuple[Assignment, ...]:
        """What should be in force now: what is below others before these."""
        if snapshot.version != self._version:
            self._select(snapshot)
        self.layout = layout(self._root, self._naming, self._spared) if self._policies else Layout()
        found = [(unit, self._of_node(unit)) for unit in self.layout.units]
        self.placed = {unit.cgroup.id: each for unit, each in found}
        return tuple(_assignment(unit, each) for unit, each in found)

    def _select(self, snapshot: Snapshot) -> None:
        """The policies that hold on this node, or may. One about which nothing can be said goes on where it held."""
        answers = [(each, selects_host(each.policy, snapshot.node)) for each in snapshot.policies.of("")]
        held = [(each, True if each.key in self._held else answer) for each, answer in answers if answer is not False]
        self._policies = tuple(held)
        self._held = frozenset(each.key for each, answer in held if answer)
        self._patterns = {each.key: cgroup_patterns(each.policy) for each, _ in held}
        self._version = snapshot.version

    def _naming(self, path: str) -> frozenset[PolicyKey]:
        name = path.encode("utf-8", "surrogateescape")
        return frozenset(key for key, each in self._patterns.items() if each.matches(each.along(name)))

    def _of_node(self, unit: Unit[PolicyKey]) -> OfNode:
        known = [(each, answer) for each, answer in self._policies if each.key in unit.policies]
        holding = [each for each, answer in known if answer]
        rules = [_without_packets(each.rules) if unit.alone else each.rules for each in holding]
        partly = {each.key for each, kept in zip(holding, rules, strict=True) if kept != each.rules}
        partly = partly if partly and has_processes(unit.cgroup.path) else set()
        undecided = tuple(each for each, answer in known if not answer or each.key in partly)
        return OfNode(
            unit.path,
            tuple(each for each in holding if each.key not in partly),
            tuple(rules),
            undecided,
            LABELS_UNKNOWN if len(holding) < len(known) else "",
            NO_PACKETS if partly else "",
        )


def _without_packets(rules: PolicyRules) -> PolicyRules:
    """Programs on packets hold for all cgroups below: one that is alone cannot have them."""
    defaults = tuple(each for each in rules.defaults if each.section is not Section.EGRESS)
    return replace(rules, networks=(), defaults=defaults)


def _assignment(unit: Unit[PolicyKey], found: OfNode) -> Assignment:
    cgroup = unit.cgroup
    container = Container(unit.path, cgroup.path, cgroup.id, pid=FIRST_PROCESS, of_node=True, alone=unit.alone)
    return Assignment(container, found.rules, found.unknown)
