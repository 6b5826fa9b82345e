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
from bulkhead.policy.rules import Action, Mode, NetworkRule, PathRule, Peer, PolicyRules, Ports, RuleReference

DENY = PathRule(
    RuleReference("n", "p", "files", "r"), Mode.ENFORCE, Action.DENY, frozenset({Operation.READ}), ("/a/**", "/b/c?")
)
PLACED = Placement(set_id=7, arena=1000, slots=0, outcome=50, outcomes=0, peer_class=300, classes=0)
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
    assert abi.PolicySet.from_buffer_copy(place.place_set(image, PLACED)).nameless == abi.OUTCOME_SILENT
    everything = lower(merge([PolicyRules(paths=(replace(DENY, patterns=("/**",)),))]))
    assert abi.PolicySet.from_buffer_copy(place.place_set(everything, PLACED)).nameless == abi.OUTCOME_SILENT
