"""A placed set answers as the image does, wherever it is placed."""

from __future__ import annotations

import struct
from array import array
from dataclasses import replace
from ipaddress import ip_network

import pytest

from bulkhead import abi
from bulkhead.abi import Operation
from bulkhead.enforcement import placement as place
from bulkhead.enforcement.placement import Placement
from bulkhead.policy.automaton.walk import outcome_of, state_after
from bulkhead.policy.image import Automaton, SetImage
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import Action, Mode, NetworkRule, PathRule, Peer, PolicyRules, Ports, Programs, RuleReference

DENY = PathRule(
    RuleReference("n", "p", "files", "r"), Mode.ENFORCE, Action.DENY, frozenset({Operation.READ}), ("/a/**", "/b/c?")
)
PLACED = Placement(set_id=7, arena=1000, slots=0, outcome=50, outcomes=0, peer_class=300, classes=0)
BY = Programs(by=("/bin/sh",))
PATHS = (b"/", b"/a", b"/a/x", b"/a/x/y", b"/b/cx", b"/b/c", b"/b/cxx", b"/z")


@pytest.fixture(scope="module")
def image() -> SetImage:
    """One path rule, one network rule."""
    network = NetworkRule(
        RuleReference("n", "p", "network.egress", "r"),
        Mode.ENFORCE,
        Action.DENY,
        (Peer(ip_network("10.0.0.0/8")),),
        (Ports(6, 80, 80),),
    )
    return lower(merge([PolicyRules(paths=(DENY,), networks=(network,))]))


def test_relocated_states_walk_alike(image: SetImage) -> None:
    """The relocated slots, read as the kernel does from the arena, give the relocated outcome for every path."""
    slots = array("Q")
    slots.frombytes(place.place_slots(image, PLACED))
    arena = Automaton(array("Q", bytes(8 * PLACED.arena)) + slots, 0, ())
    for path in PATHS:
        start = place.place_state(image.automaton.root, PLACED)
        got = outcome_of(arena, state_after(arena, path, start))
        assert got == place.place_outcome(outcome_of(image.automaton, state_after(image.automaton, path)), PLACED), path


def test_silence_stays_zero(image: SetImage) -> None:
    """Outcome 0 is every set's, so that the kernel sees at a glance that there is nothing to do."""
    assert place.place_outcome(0, PLACED) == abi.OUTCOME_SILENT
    assert place.place_outcome(1, PLACED) == 50
    assert place.place_state(abi.STATE_SINK, PLACED) == abi.STATE_SINK


def test_outcomes_know_what_they_block(image: SetImage) -> None:
    """The bit of Read is set, and the strictest decision is the rule's."""
    ((key, value),) = place.place_outcomes(image, PLACED)
    outcome = abi.Outcome.from_buffer_copy(value)
    assert struct.unpack("<I", key) == (50,)
    assert outcome.blocked == 1 << Operation.READ
    assert outcome.strictest == outcome.decisions[Operation.READ] != 0


def test_network_keys_have_the_sets_numbers(image: SetImage) -> None:
    """Prefixes carry the set, ports the class; lengths count from the number that leads the key."""
    keys = [abi.PrefixKey.from_buffer_copy(key) for key, _ in place.place_prefixes(image, PLACED)]
    assert {key.set for key in keys} == {7}
    assert 32 + 96 + 8 in {key.prefix_bits for key in keys}
    ports = [abi.PortKey.from_buffer_copy(key) for key, _ in place.place_ports(image, PLACED)]
    assert min(key.peer_class for key in ports) >= 300
    assert struct.pack("=H", next(key.port for key in ports if key.prefix_bits == 64)) == b"\x00P"


def test_files_without_a_name_match_no_pattern(image: SetImage) -> None:
    """The nameless outcome is the one of no rule at all, even where a pattern covers every path."""
    assert _placed(image).nameless == abi.OUTCOME_SILENT
    everything = lower(merge([PolicyRules(paths=(replace(DENY, patterns=("/**",)),))]))
    assert _placed(everything).nameless == abi.OUTCOME_SILENT


def _placed(image: SetImage) -> abi.PolicySet:
    """The entry of `sets` of a set with one subject."""
    ((key, value),) = place.place_set(image, PLACED)
    assert struct.unpack("<I", key) == (PLACED.set_id,)
    return abi.PolicySet.from_buffer_copy(value)


def test_every_subject_has_its_entries_in_a_row() -> None:
    """Sets, outcomes and prefixes of subject n are those of subject 0 plus n; silence stays everyone's."""
    network = NetworkRule(RuleReference("n", "p", "network.egress", "r"), Mode.ENFORCE, Action.DENY, (), (), BY)
    image = lower(merge([PolicyRules(paths=(replace(DENY, programs=BY),), networks=(network,))]))
    placed = replace(PLACED, subjects=len(image.subjects))
    sets = {key: abi.PolicySet.from_buffer_copy(value) for key, value in place.place_set(image, placed)}
    assert [key for key in sets][-1] == struct.pack("<I", 7)
    assert {struct.unpack("<I", key)[0]: entry.subject for key, entry in sets.items()} == {7: 0, 8: 1, 9: 2}
    outcomes = [abi.Outcome.from_buffer_copy(value) for _, value in place.place_outcomes(image, placed)]
    start = place.place_outcome(outcome_of(image.automaton, state_after(image.automaton, b"/a/x")), placed) - 50
    assert [bool(each.decisions[Operation.READ]) for each in outcomes[start : start + 3]] == [False, True, True]
    program = place.place_outcome(outcome_of(image.automaton, state_after(image.automaton, b"/bin/sh")), placed) - 50
    assert [each.program for each in outcomes[program : program + 3]] == [2, 2, 2]
    assert {abi.PrefixKey.from_buffer_copy(key).set for key, _ in place.place_prefixes(image, placed)} == {7, 8, 9}
    assert place.place_outcome(0, placed) == abi.OUTCOME_SILENT
