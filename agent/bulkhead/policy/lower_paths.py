"""The rules of `exec` and `files` as one automaton and a table of outcomes.

All operations share one automaton: a path is walked once and answers every question about it. An outcome is one
decision an operation; states are minimised on outcomes, so different rules that come to the same are one state. Next
step: `policy.automaton` builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy import automaton
from bulkhead.policy.image import Automaton
from bulkhead.policy.lower_decision import Judge
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import PathRule, Section

_OPERATIONS = tuple(abi.Operation(number) for number in range(abi.PATH_OPERATIONS))


@dataclass(frozen=True)
class LoweredPaths:
    """As in `SetImage`."""

    automaton: Automaton
    outcomes: tuple[tuple[int, ...], ...]
    unresolved: tuple[int, ...]


def lower_paths(policy_set: PolicySet, judge: Judge, start_groups: Sequence[frozenset[bytes]]) -> LoweredPaths:
    """Raises DoesNotFit where the automaton or its outcomes exceed a limit."""
    rules = [(n, said) for n, said in enumerate(policy_set.statements, start=1) if isinstance(said, PathRule)]
    covering = _covering(rules)
    outcomes = _Outcomes(judge, covering)
    patterns = [
        (pattern.encode("utf-8", "surrogateescape"), 1 << number) for number, rule in rules for pattern in rule.patterns
    ]
    built = automaton.build(patterns, start_groups, outcomes.dominated, outcomes.label)
    unresolved = (judge.decide_unresolved(covering[operation], section_of(operation)) for operation in _OPERATIONS)
    return LoweredPaths(built, tuple(outcomes.table), tuple(unresolved))


def section_of(operation: abi.Operation) -> Section:
    """The section whose rules and default decide an operation on a path."""
    return Section.EXEC if operation is abi.Operation.EXEC else Section.FILES


def _covering(rules: list[tuple[int, PathRule]]) -> dict[abi.Operation, int]:
    """For each operation the mask of the rules about it."""
    covering = {operation: 0 for operation in _OPERATIONS}
    for number, rule in rules:
        for operation in rule.operations:
            covering[operation] |= 1 << number
    return covering


class _Outcomes:
    """Distinct answers, numbered; number 0 allows everything in silence."""

    def __init__(self, judge: Judge, covering: dict[abi.Operation, int]) -> None:
        self.table: list[tuple[int, ...]] = [(0,) * abi.PATH_OPERATIONS]
        self._judge, self._covering = judge, covering
        self._numbers = {self.table[0]: abi.OUTCOME_SILENT}
        self._labels: dict[int, int] = {}
        self._dominated: dict[int, int] = {}

    def label(self, matching: int) -> int:
        """The outcome where the rules of a mask match."""
        found = self._labels.get(matching)
        if found is None:
            found = self._labels[matching] = self._number(self._decisions(matching))
        return found

    def dominated(self, matching: int) -> int:
        """The rules that change no operation's decision as long as those of `matching` match."""
        found = self._dominated.get(matching)
        if found is None:
            counts = 0
            for covering in set(self._covering.values()):
                counts |= covering & ~self._judge.dominated(matching & covering)
            found = self._dominated[matching] = ~counts
        return found

    def _decisions(self, matching: int) -> tuple[int, ...]:
        return tuple(
            self._judge.decide(matching & self._covering[operation], section_of(operation)) for operation in _OPERATIONS
        )

    def _number(self, decisions: tuple[int, ...]) -> int:
        found = self._numbers.setdefault(decisions, len(self.table))
        if found == len(self.table):
            if found >= abi.MAX_OUTCOMES:
                raise DoesNotFit("distinct answers to paths of one policy set", found + 1, abi.MAX_OUTCOMES)
            self.table.append(decisions)
        return found
