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
from bulkhead.policy.image import SetImage, SocketTable
from bulkhead.policy.lower_decision import blocks

SLOT_BYTES = 8
_LOW = 0xFFFFFFFF


@dataclass(frozen=True)
class Placement:
    """The numbers that a set was given. Counts are kept, so that they can be given back without the image."""

    set_id: int  # of the first class of acting programs; the others follow
    arena: int  # first slot
    slots: int
    outcome: int  # of the image's second answer to a path; the first is all zero
    outcomes: int
    peer_class: int
    classes: int
    subjects: int = 1


def sizes(image: SetImage) -> tuple[int, int, int]:
    """Slots, outcomes (those of the first answer not counted) and classes of peers that an image needs."""
    classes = 1 + max((number for each in image.subjects for _, number in each.prefixes), default=-1)
    return len(image.automaton.slots), len(image.outcomes) - len(image.subjects), classes


def place_state(state: int, placement: Placement) -> int:
    """A state of the image, as the kernel's maps hold it."""
    if state & abi.STATE_SINK:
        return abi.STATE_SINK | place_outcome(state & ~abi.STATE_SINK, placement)
    return state + placement.arena * SLOT_BYTES


def place_outcome(outcome: int, placement: Placement) -> int:
    """An outcome of the image, as an index into the map."""
    return outcome + placement.outcome - placement.subjects if outcome else abi.OUTCOME_SILENT


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
    entries = []
    for number, decisions in enumerate(image.outcomes[placement.subjects :]):
        outcome = _outcome(decisions)
        outcome.program = image.programs[1 + number // placement.subjects]
        entries.append((struct.pack("<I", placement.outcome + number), bytes(memoryview(outcome).cast("B"))))
    return entries


def place_prefixes(image: SetImage, placement: Placement) -> list[tuple[bytes, bytes]]:
    """Entries of `prefixes`."""
    entries = []
    for subject, answers in enumerate(image.subjects):
        for network, number in answers.prefixes:
            head = struct.pack("<II", 32 + network.prefixlen, placement.set_id + subject)
            value = struct.pack("<I", placement.peer_class + number)
            entries.append((head + network.network_address.packed, value))
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


def place_set(image: SetImage, placement: Placement) -> list[tuple[bytes, bytes]]:
    """Entries of `sets`, the first one last: a ruling points at that."""
    nameless = outcome_of(image.automaton, state_after(image.automaton, b"\0"))  # a byte that no path begins with
    entries = []
    for subject, answers in reversed(list(enumerate(image.subjects))):
        entry = abi.PolicySet(flags=image.flags, nameless=place_outcome(nameless, placement), subject=subject)
        entry.unresolved = _outcome(answers.unresolved)
        entry.unresolved.program = abi.SUBJECT_UNKNOWN if len(image.subjects) > 1 else 0
        entry.network_unresolved = answers.network_unresolved
        entry.borrowing = image.borrowing
        entry.capabilities[:] = list(answers.capabilities)
        entry.operations[:] = list(answers.operations)
        _place_sockets(answers.sockets, entry)
        entries.append((struct.pack("<I", placement.set_id + subject), bytes(memoryview(entry).cast("B"))))
    return entries


def _place_sockets(sockets: SocketTable, entry: abi.PolicySet) -> None:
    entry.sockets[: len(sockets.decisions)] = list(sockets.decisions)
    entry.socket_cells[:] = list(sockets.cells)
    entry.socket_rows[:] = list(sockets.rows)
    entry.socket_columns[:] = list(sockets.columns)


def _outcome(decisions: tuple[int, ...]) -> abi.Outcome:
    """struct outcome, with what the decisions have in common worked out."""
    outcome = abi.Outcome(blocked=sum(1 << number for number, word in enumerate(decisions) if blocks(word)))
    outcome.decisions[:] = list(decisions)
    outcome.strictest = max((word for word in decisions if blocks(word)), key=_verdict, default=0)
    return outcome


def _verdict(decision: int) -> int:
    return decision & abi.DECISION_VERDICT_MASK
