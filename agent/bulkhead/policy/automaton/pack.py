"""Rows laid over one another in one array: the layout that probes/include/abi.h describes under "Path automata".

A row has few entries in 256 places, so rows are placed where their entries fall between those of others, each at the
first place that fits, fullest rows first. Free slots are bits of large integers, so that thousands of places are tried
in one operation. Next step: `walk` reads it as the kernel does; `enforcement` copies it into the arena.
"""

from __future__ import annotations

from array import array

from bulkhead import abi
from bulkhead.policy.automaton.dfa import Dfa
from bulkhead.policy.image import Automaton

SLOT_BYTES = 8
_BLOCK = 8192  # slots in one integer
_FULL = (1 << _BLOCK) - 1


def slots_needed(dfa: Dfa) -> int:
    """The least number of slots that `dfa` (minimal) can take."""
    return sum(1 + len(row) for state, row in enumerate(dfa.rows) if not _is_sink(dfa, state))


def pack(dfa: Dfa) -> Automaton:
    """Lay out a minimal automaton. Its first start becomes `root`, the others `starts`.

    The array ends ARENA_TAIL slots after the last row; it is empty where every start is a sink.
    """
    bases = _place(dfa)
    states = [base * SLOT_BYTES or abi.STATE_SINK | label for base, label in zip(bases, dfa.labels, strict=True)]
    last = max(bases, default=0)
    slots = array("Q", bytes(SLOT_BYTES * (last + 1 + abi.ARENA_TAIL) if last else 0))
    for base, state, default, row, label in zip(bases, states, dfa.defaults, dfa.rows, dfa.labels, strict=True):
        if base == 0:
            continue
        slots[base] = (abi.STATE_SINK | label) << 32 | states[default]
        for byte, target in row.items():
            slots[base + byte] = state << 32 | states[target]
    root, *starts = (states[start] for start in dfa.starts)
    return Automaton(slots, root, tuple(starts))


def _is_sink(dfa: Dfa, state: int) -> bool:
    return dfa.defaults[state] == state and not dfa.rows[state]


def _place(dfa: Dfa) -> list[int]:
    """The slot of each state's header; 0 for sinks, which have none."""
    rows = [state for state in range(len(dfa)) if not _is_sink(dfa, state)]
    rows.sort(key=lambda state: (-len(dfa.rows[state]), state))
    free = _FreeSlots()
    bases = [0] * len(dfa)
    for state in rows:
        bases[state] = free.take((0, *sorted(dfa.rows[state])))
    return bases


class _FreeSlots:
    """Bit n of the blocks taken together is set while slot n is free. Slot 0 is never given out."""

    def __init__(self) -> None:
        self._blocks = [_FULL & ~1, _FULL]
        self._tried: dict[tuple[int, ...], int] = {}  # block before which these offsets do not fit any more
        self._first = 0  # block before which nothing is free

    def take(self, offsets: tuple[int, ...]) -> int:
        """Give out the first slot such that it plus each of `offsets`, of which the first is 0, is free."""
        number = max(self._first, self._tried.get(offsets, 0))
        fits = 0
        while not fits:
            if number + 2 >= len(self._blocks):
                self._blocks.append(_FULL)
            fits = self._fits(number, offsets)
            if not fits:
                if number == self._first and not self._blocks[number]:
                    self._first += 1
                number += 1
        self._tried[offsets] = number
        slot = number * _BLOCK + (fits & -fits).bit_length() - 1
        for offset in offsets:
            block, bit = divmod(slot + offset, _BLOCK)
            self._blocks[block] &= ~(1 << bit)
        return slot

    def _fits(self, number: int, offsets: tuple[int, ...]) -> int:
        """The slots of one block, as bits, where all offsets are free."""
        fits, next_block = self._blocks[number], self._blocks[number + 1]
        both = next_block << _BLOCK | fits
        for offset in offsets[1:]:
            if not fits:
                break
            fits &= both >> offset
        return fits
