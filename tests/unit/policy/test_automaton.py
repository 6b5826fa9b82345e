"""Automata: what a walk finds, and the properties that the kernel relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead import abi
from bulkhead.policy.automaton import build, outcome_of, state_after
from bulkhead.policy.automaton.dfa import Dfa, determinise
from bulkhead.policy.automaton.minimise import minimise
from bulkhead.policy.automaton.nfa import PathNfa
from bulkhead.policy.automaton.pack import pack, slots_needed
from bulkhead.policy.image import Automaton
from bulkhead.policy.oracle import path_matches
from bulkhead.policy.rules import PolicyRules, Section
from tests.unit.policy.strategies import paths_like, policies


def _same(mask: int) -> int:
    return mask


def _of(*patterns: str) -> Automaton:
    """An automaton whose outcome is the mask of the patterns that match."""
    return build([(pattern.encode(), 1 << n) for n, pattern in enumerate(patterns)], [], _same, _same)


def _patterns(said: list[PolicyRules]) -> list[str]:
    return [pattern for policy in said for rule in policy.paths for pattern in rule.patterns]


def _dfa(patterns: list[str], label: Callable[[int], int]) -> Dfa:
    nfa = PathNfa()
    for number, pattern in enumerate(patterns):
        nfa.add(pattern.encode(), 1 << number)
    return determinise(nfa, [nfa.after(b"/")], _same, label, 100_000)


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/", ["/"], ["/a"]),
        ("/**", ["/a", "/a/b/c"], ["/"]),
        ("/bin/sh", ["/bin/sh"], ["/", "/bin", "/bin/sh/x", "/bin/s", "/bin/shh"]),
        ("/sbin/**", ["/sbin/a", "/sbin/a/b"], ["/sbin", "/sbinx/a", "/a/sbin/a"]),
        ("/a/**/z", ["/a/z", "/a/b/z", "/a/b/c/z", "/a/z/z"], ["/a", "/az", "/a/bz", "/a/z/b"]),
        ("/**/id_*", ["/id_rsa", "/a/id_", "/a/b/id_x"], ["/xid_rsa", "/id_x/y"]),
        ("/a/**/**", ["/a/b", "/a/b/c"], ["/a"]),
        ("/a/*", ["/a/b", "/a/bcd"], ["/a", "/a/b/c"]),
        ("/a/*b*c", ["/a/bc", "/a/xbxc", "/a/bbcc"], ["/a/b", "/a/cb", "/a/b/c"]),
        ("/a/?b", ["/a/xb", "/a/bb"], ["/a/b", "/a//b", "/a/xxb"]),
        ("/ä?", ["/äx"], ["/a", "/ä"]),
    ],
)
def test_a_pattern_matches_what_the_reference_documents(pattern: str, matching: list[str], others: list[str]) -> None:
    """Each form of pattern, by example, in the automaton and in the reference model alike."""
    automaton = _of(pattern)
    for path in matching + others:
        expected = path in matching
        assert (outcome_of(automaton, state_after(automaton, path.encode())) == 1) is expected, path
        if "//" not in path:
            assert path_matches(pattern.encode(), path.encode()) is expected, path


def test_names_are_bytes() -> None:
    """A `?` is one byte: a name in UTF-8 with one letter of two bytes needs two, and invalid UTF-8 is a name too."""
    automaton = _of("/??", "/*.c")
    assert outcome_of(automaton, state_after(automaton, "/ä".encode())) == 1
    assert outcome_of(automaton, state_after(automaton, b"/\xff\xfe\xfd.c")) == 2


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_walk_can_be_resumed_at_any_directory(data: st.DataObject) -> None:
    """The state after a directory and then a name is the state after the whole: what the kernel remembers is enough."""
    said = data.draw(policies(Section.FILES))
    automaton = _of(*_patterns(said))
    for path in data.draw(st.lists(paths_like(said), min_size=5, max_size=5)):
        directory, _, name = path.rpartition(b"/")
        resumed = state_after(automaton, b"/" + name, state_after(automaton, directory))
        assert path == b"/" or resumed == state_after(automaton, path)


@settings(max_examples=50, deadline=None)
@given(policies(Section.FILES), st.integers(1, 7))
def test_minimal_states_are_never_equivalent(said: list[PolicyRules], labels: int) -> None:
    """Equal futures are one state (checked by refining all pairs), so a rename that changes nothing is let through."""
    dfa = minimise(_dfa(_patterns(said), lambda mask: mask & labels))
    apart = {(p, q) for p in range(len(dfa)) for q in range(p) if dfa.labels[p] != dfa.labels[q]}
    before = -1
    while before != len(apart):
        before = len(apart)
        for p in range(len(dfa)):
            apart |= {(p, q) for q in range(p) if (p, q) not in apart and _lead_apart(dfa, p, q, apart)}
    assert len(apart) == len(dfa) * (len(dfa) - 1) // 2


def _lead_apart(dfa: Dfa, first: int, second: int, apart: set[tuple[int, int]]) -> bool:
    for byte in {*dfa.rows[first], *dfa.rows[second], 0}:
        targets = [dfa.rows[state].get(byte, dfa.defaults[state]) for state in (first, second)]
        if (max(targets), min(targets)) in apart:
            return True
    return False


@settings(max_examples=50, deadline=None)
@given(policies(Section.FILES))
def test_the_packed_form_keeps_to_its_layout(said: list[PolicyRules]) -> None:
    """Headers carry sinks, entries belong to a row, no state is 0, and adding any byte stays inside the array."""
    dfa = minimise(_dfa(_patterns(said), lambda mask: mask & 7))
    automaton = pack(dfa)
    slots = automaton.slots
    headers = [index for index, word in enumerate(slots) if word >> 32 & abi.STATE_SINK]
    entries = [word for word in slots if word and not word >> 32 & abi.STATE_SINK]
    assert len(headers) + len(entries) == slots_needed(dfa)
    assert 0 not in headers
    assert {word >> 32 for word in entries} <= {header * 8 for header in headers}
    assert {word & 0xFFFFFFFF for word in slots if word} <= {
        *(header * 8 for header in headers),
        *(abi.STATE_SINK | label for label in range(8)),
    }
    if headers:
        assert len(slots) == max(headers) + 1 + abi.ARENA_TAIL


def test_a_thousand_names_in_one_directory_take_little_more_than_their_bytes() -> None:
    """Rows are laid over one another: the array is not much larger than the entries in it."""
    patterns = [f"/usr/lib/module{number:03}.so" for number in range(1000)]
    dfa = minimise(_dfa(patterns, lambda mask: 1 if mask else 0))
    assert len(pack(dfa).slots) < 2 * slots_needed(dfa) + 2 * abi.ARENA_TAIL


def test_substrings_of_one_rule_do_not_multiply() -> None:
    """Fourteen patterns with a name anywhere in one element make few states when they come to the same."""
    names = [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
    ]
    nfa = PathNfa()
    for name in names:
        nfa.add(f"/d/*{name}*".encode(), 1)
    assert len(determinise(nfa, [nfa.after(b"/")], _same, _same, 1000)) < 100


@pytest.mark.parametrize("patterns", [("/a/*", "/a/**"), ("/a/**", "/a/*"), ("/a/b*", "/**")])
def test_what_holds_below_is_never_left_out_for_what_holds_in_one_element(patterns: tuple[str, str]) -> None:
    """Two patterns of one rule, one of which ends at the next '/': the other goes on."""
    automaton = build([(pattern.encode(), 1) for pattern in patterns], [], _same, _same)
    assert outcome_of(automaton, state_after(automaton, b"/a/b")) == 1
    assert outcome_of(automaton, state_after(automaton, b"/a/b/c")) == 1
