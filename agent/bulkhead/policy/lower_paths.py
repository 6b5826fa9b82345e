"""The rules of `exec` and `files` as one automaton and a table of outcomes.

All operations share one automaton: a path is walked once and answers every question about it. An outcome is one
decision a question (an operation, and for executing the file's provenance) for each class of acting programs, and the
class of a program that is executed from there; states are minimised on outcomes, so different rules that come to the
same are one state. Next step: `policy.automaton` builds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy import automaton
from bulkhead.policy.image import Automaton
from bulkhead.policy.lower_decision import Judge
from bulkhead.policy.lower_subjects import Subjects
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import PathRule, Provenance, Section


@dataclass(frozen=True)
class _Question:
    """A column of an outcome: about an operation on files of a provenance, decided with the default or not."""

    operation: abi.Operation
    provenance: Provenance = Provenance.IMAGE
    with_default: bool = True

    def is_about(self, rule: PathRule) -> bool:
        """Whether the rule has a say, if the path matches."""
        return self.operation in rule.operations and rule.provenance <= self.provenance


# In the order of enum operation and enum question.
_QUESTIONS = (
    *(_Question(abi.Operation(number)) for number in range(abi.PATH_OPERATIONS)),
    _Question(abi.Operation.EXEC, Provenance.WRITTEN),
    _Question(abi.Operation.EXEC, Provenance.FILELESS),
    _Question(abi.Operation.EXEC, with_default=False),
)


@dataclass(frozen=True)
class LoweredPaths:
    """As in `SetImage`."""

    automaton: Automaton
    outcomes: tuple[tuple[int, ...], ...]
    programs: tuple[int, ...]
    unresolved: tuple[tuple[int, ...], ...]  # by class of acting programs


def lower_paths(
    policy_set: PolicySet, subjects: Subjects, judges: Sequence[Judge], start_groups: Sequence[frozenset[bytes]]
) -> LoweredPaths:
    """`judges` are those of the classes. Raises DoesNotFit where the automaton or its outcomes exceed a limit."""
    rules = [(n, said) for n, said in enumerate(policy_set.statements, start=1) if isinstance(said, PathRule)]
    outcomes = _Outcomes(Judge(policy_set), judges, subjects, rules)
    patterns = [
        (pattern.encode("utf-8", "surrogateescape"), 1 << number) for number, rule in rules for pattern in rule.patterns
    ]
    built = automaton.build([*patterns, *subjects.patterns], start_groups, outcomes.dominated, outcomes.label)
    unresolved = tuple(map(outcomes.unresolved, judges))
    return LoweredPaths(built, tuple(outcomes.table), tuple(outcomes.programs), unresolved)


def section_of(operation: abi.Operation) -> Section:
    """The section whose rules and default decide an operation on a path."""
    return Section.EXEC if operation is abi.Operation.EXEC else Section.FILES


def _mask(rules: list[tuple[int, PathRule]], question: _Question) -> int:
    """The rules that have a say."""
    return sum(1 << number for number, rule in rules if question.is_about(rule))


class _Outcomes:
    """Distinct answers. Each is as many entries of `table` as there are classes of acting programs, and goes by the
    index of the first; 0 allows everything to everyone in silence. `programs` has an entry an answer.
    """

    def __init__(
        self, anyone: Judge, judges: Sequence[Judge], subjects: Subjects, rules: list[tuple[int, PathRule]]
    ) -> None:
        self.table: list[tuple[int, ...]] = [(0,) * abi.PATH_QUESTIONS] * len(judges)
        self.programs = [0]
        self._anyone, self._judges, self._subjects = anyone, judges, subjects
        self._covering = tuple(_mask(rules, question) for question in _QUESTIONS)
        self._everywhere = sum(1 << number for number, rule in rules if not rule.patterns)
        self._numbers = {(0, tuple(self.table)): abi.OUTCOME_SILENT}
        self._labels: dict[int, int] = {}
        self._dominated: dict[int, int] = {}

    def label(self, matching: int) -> int:
        """The outcome where the rules of a mask match, and those that match everywhere."""
        found = self._labels.get(matching)
        if found is None:
            decisions = tuple(self._decisions(judge, matching | self._everywhere) for judge in self._judges)
            found = self._labels[matching] = self._number(self._subjects.class_of(matching), decisions)
        return found

    def dominated(self, matching: int) -> int:
        """The rules that change no decision, whoever acts, as long as those of `matching` match.

        What rules about anyone and about the same programs dominate is idle for these, and does not hold for others.
        """
        found = self._dominated.get(matching)
        if found is None:
            counts = self._subjects.bits & ~matching
            anyone = self._subjects.groups[0]
            for covering in set(self._covering):
                for group in self._subjects.groups:
                    together = (matching | self._everywhere) & covering & (group | anyone)
                    counts |= covering & group & ~self._anyone.dominated(together)
            found = self._dominated[matching] = ~counts
        return found

    def unresolved(self, judge: Judge) -> tuple[int, ...]:
        """The answers about a path that is not known."""
        return tuple(
            judge.decide_unresolved(covering, section_of(question.operation))
            if question.with_default
            else judge.decide_unresolved_explicit(covering)
            for question, covering in zip(_QUESTIONS, self._covering, strict=True)
        )

    def _decisions(self, judge: Judge, matching: int) -> tuple[int, ...]:
        return tuple(
            judge.decide(matching & covering, section_of(question.operation))
            if question.with_default
            else judge.decide_explicit(matching & covering)
            for question, covering in zip(_QUESTIONS, self._covering, strict=True)
        )

    def _number(self, program: int, decisions: tuple[tuple[int, ...], ...]) -> int:
        found = self._numbers.setdefault((program, decisions), len(self.table))
        if found == len(self.table):
            needed = found + len(decisions)
            if needed > abi.MAX_OUTCOMES:
                raise DoesNotFit("distinct answers to paths of one policy set", needed, abi.MAX_OUTCOMES)
            self.table += decisions
            self.programs.append(program)
        return found
