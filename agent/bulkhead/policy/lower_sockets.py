"""The rules of `network.sockets` as a small table: a row for each family that is named, a column for each type.

What no rule names behaves like everything that no rule names, so row 0 and column 0 stand for all of that, and the
table has room for every name there is in `policy.sockets`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy.image import SocketTable
from bulkhead.policy.lower_decision import Judge
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import Section, SocketRule

OTHERS = -1  # stands for every number that no rule names


def lower_sockets(policy_set: PolicySet, judge: Judge) -> SocketTable:
    """The decision about each family and type. Raises DoesNotFit where there are too many different ones."""
    rules = [(n, said) for n, said in enumerate(policy_set.statements, start=1) if isinstance(said, SocketRule)]
    families = _named(rule.families for _, rule in rules)
    types = _named(rule.types for _, rule in rules)
    cells = [0] * abi.SOCKET_CELLS
    numbers: dict[int, int] = {}
    for row, family in enumerate(families):
        for column, kind in enumerate(types):
            matching = sum(1 << number for number, rule in rules if _matches(rule, family, kind))
            word = judge.decide(matching, Section.SOCKETS)
            cells[row * abi.SOCKET_COLUMNS + column] = numbers.setdefault(word, len(numbers))
    if len(numbers) > abi.SOCKET_DECISIONS:
        raise DoesNotFit("different answers to sockets of one policy set", len(numbers), abi.SOCKET_DECISIONS)
    return SocketTable(
        rows=_positions(families, abi.ADDRESS_FAMILIES),
        columns=_positions(types, abi.SOCKET_KINDS),
        cells=tuple(cells),
        decisions=tuple(numbers),
    )


def _named(sets: Iterable[frozenset[int]]) -> list[int]:
    """Every number that is named, behind the one that stands for the others."""
    return [OTHERS, *sorted(frozenset[int]().union(*sets))]


def _positions(named: Sequence[int], size: int) -> tuple[int, ...]:
    """By number: its position among those that are named, or 0."""
    places = [0] * size
    for position, number in enumerate(named[1:], start=1):
        places[number] = position
    return tuple(places)


def _matches(rule: SocketRule, family: int, kind: int) -> bool:
    return (not rule.families or family in rule.families) and (not rule.types or kind in rule.types)
