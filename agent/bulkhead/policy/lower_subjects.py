"""Which programs a set tells apart: classes of acting programs, each with the rules that hold for it.

A rule with `by` is about some programs only. What a program is follows from the path of the file that was executed, so
the lists of `by` join the path automaton as bits above those of the rules: the state after an executable's path says
which lists it is on. Programs for which the same rules hold are one class; everything is lowered once a class, and the
kernel adds the class to an index (docs/adr/0010). Next step: `lower_paths`; a `Judge` restricted to `holding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy import automaton
from bulkhead.policy.lower_decision import decision
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import ANYONE, Action, Default, Mode, Programs


@dataclass(frozen=True)
class Subjects:
    """Classes of acting programs, by number.

    `holding[n]` is the mask of the rules that hold for class n. `groups` are the masks of rules about the same
    programs, that of rules about anyone first. `patterns` are programs, each with the bit of its list; `bits` is all of
    these, and `classes` the class of each combination of them that the path of some program is on.
    """

    holding: tuple[int, ...] = (-1,)
    groups: tuple[int, ...] = (-1,)
    patterns: tuple[tuple[bytes, int], ...] = ()
    bits: int = 0
    classes: Mapping[int, int] = field(default_factory=lambda: {0: 0})

    def __len__(self) -> int:
        return len(self.holding)

    def class_of(self, matching: int) -> int:
        """The class of a program that is on the lists whose bits are in `matching`."""
        return self.classes[matching & self.bits]


def find_subjects(policy_set: PolicySet, start_groups: Sequence[frozenset[bytes]]) -> Subjects:
    """Raises DoesNotFit where there are too many classes, or the patterns of programs multiply too much."""
    conditions = _conditions(policy_set)
    if set(conditions) <= {ANYONE}:
        return Subjects()
    lists = _number_lists(conditions, first_bit=len(policy_set.statements) + 1)
    patterns = tuple(
        (text.encode("utf-8", "surrogateescape"), bit) for texts, bit in lists.items() for text in sorted(texts)
    )
    holding = [_holding(conditions, lists, 0), _holding_for_unknown(policy_set, conditions)]
    classes = {bits: _find(holding, _holding(conditions, lists, bits)) for bits in _reachable(patterns, start_groups)}
    if len(holding) > abi.MAX_SUBJECTS:
        raise DoesNotFit("classes of acting programs (by) of one policy set", len(holding), abi.MAX_SUBJECTS)
    return Subjects(tuple(holding), tuple(conditions.values()), patterns, sum(lists.values()), classes)


def borrowing_decision(policy_set: PolicySet) -> int:
    """What is decided where a process would act as another's program, named after the first rule about programs.

    Nothing where there is none; where such rules only report, it is reported.
    """
    about = [
        (number, statement)
        for number, statement in enumerate(policy_set.statements, start=1)
        if not isinstance(statement, Default) and statement.programs != ANYONE
    ]
    strict = [(number, statement) for number, statement in about if statement.action is not Action.AUDIT]
    for number, statement in strict:
        if statement.mode is Mode.ENFORCE:
            return decision(abi.Verdict.DENY, number)
    if strict:
        return decision(abi.Verdict.WOULD_DENY, strict[0][0])
    return decision(abi.Verdict.ALLOW, audit=about[0][0]) if about else 0


def _conditions(policy_set: PolicySet) -> dict[Programs, int]:
    """The mask of the rules about each choice of programs."""
    conditions = {ANYONE: 0}
    for number, statement in enumerate(policy_set.statements, start=1):
        programs = ANYONE if isinstance(statement, Default) else statement.programs
        conditions[programs] = conditions.get(programs, 0) | 1 << number
    return conditions


def _number_lists(conditions: dict[Programs, int], first_bit: int) -> dict[tuple[str, ...], int]:
    """A bit for each list of programs."""
    lists: dict[tuple[str, ...], int] = {}
    for programs in conditions:
        for texts in (programs.by, programs.unless):
            if texts:
                lists.setdefault(texts, 1 << first_bit + len(lists))
    return lists


def _holding(conditions: dict[Programs, int], lists: dict[tuple[str, ...], int], bits: int) -> int:
    """The rules that hold for a program on the lists of `bits`."""
    holding = 0
    for programs, rules in conditions.items():
        named = not programs.by or bits & lists[programs.by]
        if named and not (programs.unless and bits & lists[programs.unless]):
            holding |= rules
    return holding


def _holding_for_unknown(policy_set: PolicySet, conditions: dict[Programs, int]) -> int:
    """Of rules about some programs, those that may deny or report hold for a program that is not known."""
    allowing = sum(
        1 << number for number, said in enumerate(policy_set.statements, start=1) if said.action is Action.ALLOW
    )
    return sum(rules if programs == ANYONE else rules & ~allowing for programs, rules in conditions.items())


def _reachable(patterns: Sequence[tuple[bytes, int]], start_groups: Sequence[frozenset[bytes]]) -> list[int]:
    """Every combination of lists that the path of some program is on."""
    found: dict[int, int] = {0: 0}
    automaton.build(
        patterns, start_groups, dominated=lambda bits: bits, label=lambda bits: found.setdefault(bits, len(found))
    )
    return sorted(found)


def _find(holding: list[int], held: int) -> int:
    """The class for which exactly the rules `held` hold, a new one where there is none; never the unknown one."""
    for number, known in enumerate(holding):
        if known == held and number != abi.SUBJECT_UNKNOWN:
            return number
    holding.append(held)
    return len(holding) - 1
