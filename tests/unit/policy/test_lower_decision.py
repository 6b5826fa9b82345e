"""Precedence on bit masks: what may be left out without changing a decision."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.policy.lower_decision import Judge, numbers
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import PolicyRules, Section
from tests.unit.policy.strategies import policies


@settings(max_examples=100, deadline=None)
@given(policies(Section.CAPABILITIES), st.lists(st.tuples(st.integers(0), st.integers(0)), min_size=8, max_size=8))
def test_dominated_rules_change_nothing(said: list[PolicyRules], masks: list[tuple[int, int]]) -> None:
    """Leaving out the rules that some matching ones dominate gives the same word, whatever else matches."""
    policy_set = merge(said)
    judge = Judge(policy_set)
    every = sum(1 << n for n, rule in enumerate(policy_set.statements, 1) if rule in policy_set.rules.capabilities)
    for some, other in masks:
        certain, matching = some & every, (some | other) & every
        fewer = matching & ~(judge.dominated(certain) & ~certain)
        assert judge.decide(fewer, Section.CAPABILITIES) == judge.decide(matching, Section.CAPABILITIES)


def test_numbers_come_lowest_first() -> None:
    """The bits of a mask, as rule numbers."""
    assert list(numbers(0b101010)) == [1, 3, 5]
