"""Where a lowered set goes in the maps, and the words as they stand there: relocation. Pure.

An image's states, outcomes and classes count from 0; placing adds a base to each. Outcome 0 is every set's and the
whole node's "allow everything in silence", so it stays 0 and the kernel can tell it at a glance. Next step:
`enforcement.sets` writes what is made here.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass

from bulkhead import abi
from bulkhead.policy.automaton.walk import outcome_of, state_after
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower_decision import blocks

SLOT_BYTES = 8
_LOW = 0xFFFFFFFF


@dataclass(frozen=True)
class Placement:
    """The numbers that a set was given. Counts are kept, so that they can be given back without the image."""

    set_id: int
    arena: int  # first slot
    slots: int
    outcome: int  # of the image's outcome 1
    outcomes: int
    peer_class: int
    classes: int


def sizes(image: SetImage) -> tuple[int, int, int]:
    """Slots, outcomes (0 not counted) and classes that an image needs."""
    classes = 1 + max((number for _, number in image.prefixes), default=-1)
    return len(image.automaton.slots), len(image.outcomes) - 1, classes


def place_state(state: int, placement: Placement) -> int:
    """A state of the image, as the kernel's maps hold it."""
    if state & abi.STATE_SINK:
        return abi.STATE_SINK | place_outcome(state & ~abi.STATE_SINK, placement)
    return state + placement.arena * SLOT_BYTES


def place_outcome(outcome: int, placement: Placement) -> int:
    """An outcome of the image, as an index into the map."""
    return outcome + placement.outcome - 1 if outcome else abi.OUTCOME_SILENT


def place_slots(image: SetImage, placement: Placement) -> bytes:
    """The automaton's slots, relocated: struct arena_slot each."""
    placed = array("Q", bytes(SLOT_BYTES * len(image.automaton.slots)))
    for index, slot in enumerate(image.automaton.slots):
        if slot:
            following, check = place_state(slot & _LOW, placement), place_state(slot >> 32, placement)
            placed[index] = check << 32 | following
    return placed.tobytes()


def place_outcomes(image: SetImage, placement: Placement) -> list[tuple[bytes, bytes]]:
    """Entries of `outcomes`."""
    return [
        (struct.pack("<I", placement.outcome + number), bytes(_outcome(decisions)))
        for number, decisions in enumerate(image.outcomes[1:])
    ]


def place_prefixes(image: SetImage, placement: Placement) -> list[tuple[bytes, bytes]]:
    """Entries of `prefixes`."""
    entries = []
    for network, number in image.prefixes:
        key = struct.pack("<II", 32 + network.prefixlen, placement.set_id) + network.network_address.packed
        entries.append((key, struct.pack("<I", placement.peer_class + number)))
    return entries


def place_ports(image: SetImage, placement: Placement) -> list[tuple[bytes, bytes]]:
    """Entries of `ports`."""
    return [
        (
            struct.pack("<IIBx", each.bits, placement.peer_class + each.peer_class, each.protocol)
            + struct.pack(">H", each.port),
            struct.pack("<Q", each.decision),
        )
        for each in image.ports
    ]


def place_set(image: SetImage, placement: Placement) -> bytes:
    """The entry of `sets`."""
    nameless = outcome_of(image.automaton, state_after(image.automaton, b"\0"))  # a byte that no path begins with
    entry = abi.PolicySet(flags=image.flags, nameless=place_outcome(nameless, placement))
    entry.unresolved = _outcome(image.unresolved)
    entry.network_unresolved = image.network_unresolved
    entry.capabilities[:] = list(image.capabilities)
    entry.operations[:] = list(image.operations)
    entry.sockets[: len(image.sockets.decisions)] = list(image.sockets.decisions)
    entry.socket_cells[:] = list(image.sockets.cells)
    entry.socket_rows[:] = list(image.sockets.rows)
    entry.socket_columns[:] = list(image.sockets.columns)
    return bytes(memoryview(entry).cast("B"))


def _outcome(decisions: tuple[int, ...]) -> abi.Outcome:
    """struct outcome, with what the decisions have in common worked out."""
    outcome = abi.Outcome(blocked=sum(1 << number for number, word in enumerate(decisions) if blocks(word)))
    outcome.decisions[:] = list(decisions)
    outcome.strictest = max((word for word in decisions if blocks(word)), key=_verdict, default=0)
    return outcome


def _verdict(decision: int) -> int:
    return decision & abi.DECISION_VERDICT_MASK
