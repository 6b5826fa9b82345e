"""Large sets fit, and what explodes is refused by name before it has cost much."""

from __future__ import annotations

import string

import pytest

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy import automaton
from bulkhead.policy.automaton.dfa import TooManyStatesError, determinise
from bulkhead.policy.automaton.nfa import PathNfa
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import Action, Mode, PathRule, PolicyRules, RuleReference
from tests.bench.ordinary import ordinary_rules

BYTES_A_RULE = 500
LETTERS = string.ascii_lowercase


def _same(mask: int) -> int:
    return mask


def _rule(action: Action, pattern: str, number: int) -> PathRule:
    reference = RuleReference("shop", "web", "files", f"rules[{number}]")
    return PathRule(reference, Mode.ENFORCE, action, frozenset([abi.Operation.READ]), (pattern,))


def _build(patterns: list[str]) -> int:
    """Slots of an automaton that tells all patterns apart."""
    labels: dict[int, int] = {}
    masked = [(pattern.encode(), 1 << number) for number, pattern in enumerate(patterns)]
    return len(automaton.build(masked, [], _same, lambda mask: labels.setdefault(mask, len(labels))).slots)


@pytest.mark.parametrize("count", [100, 1_000, 2_000])
def test_ordinary_rules_take_little_room_each(count: int) -> None:
    """Memory is in proportion to the rules; 10,000 are built by `make bench`."""
    slots = len(lower(merge(ordinary_rules(count))).automaton.slots)
    assert slots * 8 <= BYTES_A_RULE * count + abi.ARENA_TAIL * 8


def test_the_largest_set_can_be_replaced_by_its_like() -> None:
    """At the allowance for a rule, two sets of 10,000 rules are in the arena together."""
    assert 2 * 10_000 * BYTES_A_RULE <= abi.ARENA_SLOTS * 8


EXPLODING = {
    "one pattern with a long tail": ["/d/*a" + "?" * 200],
    "substrings in a row": [f"/d/*{a}*{b}*{c}*x" for a in LETTERS[:10] for b in LETTERS[:10] for c in LETTERS[:10]],
    "two names at any depth": [f"/**/y{n}/**/z{n}" for n in range(100)],
    "tails of every length": [f"/d/*{letter}{'?' * n}" for letter in LETTERS for n in range(5, 40)],
    "two substrings each": [f"/d/*x{n}*y{n}*z" for n in range(1_000)],
}


@pytest.mark.parametrize("patterns", EXPLODING.values(), ids=EXPLODING.keys())
def test_what_explodes_is_refused_by_name(patterns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the number, the limit, and patterns that are in the set, cut where they are long."""
    monkeypatch.setattr("bulkhead.policy.automaton.MAX_STATES", 5_000)
    with pytest.raises(DoesNotFit, match="nothing was changed") as refused:
        _build(["/etc/shadow", *patterns])
    named = refused.value.what.partition("multiply most: ")[2].split(", ")
    assert all(any(pattern.startswith(name.rstrip("…")) for pattern in patterns) for name in named), named
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "patterns",
    [
        [f"/d/*a*a*a*a*b{n}" for n in range(1_000)],
        [f"/d/*SUB{letter}*" for letter in LETTERS[:14]],
        [f"/**/Y{letter}/**/Z{letter}" for letter in LETTERS[:6]],
        [f"/**/name{n}" for n in range(1_000)],
        ["/" + "/".join(["**", "a"] * 200)],
    ],
)
def test_what_only_looks_as_if_it_exploded_is_built(patterns: list[str]) -> None:
    """One rule each: shared beginnings, and that only the first rule of those that deny is named, keep these small."""
    rules = [_rule(Action.DENY, pattern, number) for number, pattern in enumerate(patterns)]
    assert 0 < len(lower(merge([PolicyRules(paths=tuple(rules))])).automaton.slots) < abi.ARENA_SLOTS // 100


def test_few_states_with_much_in_them_are_refused_as_well() -> None:
    """The cap on states also bounds the nodes that they hold and the work of finding them."""
    nfa = PathNfa()
    for number, letter in enumerate(f"{'?' * count}*{each}" for count in range(60) for each in string.ascii_letters):
        nfa.add(f"/d/{letter}".encode(), 1 << number)
    with pytest.raises(TooManyStatesError, match=r"nodes and edges|steps of building"):
        determinise(nfa, [nfa.after(b"/")], _same, _same, 1_000)


def test_rules_that_contradict_one_another_are_decided_and_take_no_room() -> None:
    """A thousand policies that allow, deny and kill everything everywhere: the strictest rule holds, in one state."""
    said = [(Action.ALLOW, "/**"), (Action.DENY, "/"), (Action.DENY, "/**"), (Action.KILL, "/**")]
    rules = [_rule(action, pattern, number) for number, (action, pattern) in enumerate(said * 300)]
    image = lower(merge([PolicyRules(paths=tuple(rules))]))
    assert len(image.automaton.slots) <= abi.ARENA_TAIL + 5
    assert len(image.outcomes) == 3
