"""Reads a packed automaton as the kernel does: one or two slots a byte.

Used to find the state after a mount point, and to hold the packed form against the reference model.
"""

from __future__ import annotations

from bulkhead import abi
from bulkhead.policy.automaton.pack import SLOT_BYTES
from bulkhead.policy.image import Automaton


def state_after(automaton: Automaton, path: bytes, start: int | None = None) -> int:
    """The state after `path` (absolute, canonical; "/" reads nothing), from `start` instead of the root where given."""
    state = automaton.root if start is None else start
    slots = automaton.slots
    for byte in b"" if path == b"/" else path:
        if state & abi.STATE_SINK:
            break
        header = state // SLOT_BYTES
        entry = slots[header + byte]
        if entry >> 32 != state:
            entry = slots[header]
        state = entry & 0xFFFFFFFF
    return state


def outcome_of(automaton: Automaton, state: int) -> int:
    """The outcome that holds in a state, an index into `SetImage.outcomes`."""
    label = state if state & abi.STATE_SINK else automaton.slots[state // SLOT_BYTES] >> 32
    return label & ~abi.STATE_SINK
