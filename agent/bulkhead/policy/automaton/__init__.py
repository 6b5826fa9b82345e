"""One automaton for all path patterns of a policy set.

Whatever the number of patterns, the kernel takes one step a byte, and may remember the state of a directory. Knows
patterns and bit masks, nothing of policies: `policy.lower_paths` says what a mask means. The way is `nfa` (patterns
that share prefixes), `dfa` (states), `minimise`, `pack` (the kernel's array), `walk` (reading it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy.automaton.dfa import Dfa, TooManyStatesError, determinise
from bulkhead.policy.automaton.minimise import minimise
from bulkhead.policy.automaton.nfa import PathNfa
from bulkhead.policy.automaton.pack import pack, slots_needed
from bulkhead.policy.automaton.walk import outcome_of, state_after
from bulkhead.policy.image import Automaton

__all__ = ["MAX_STATES", "build", "outcome_of", "state_after"]

MAX_STATES = 400_000  # before minimisation: 10,000 ordinary rules have 260,000; at most 400 MB and ten seconds
_WORST_NAMED = 3
_PATTERN_SHOWN = 60  # letters


def build(
    patterns: Sequence[tuple[bytes, int]],
    start_groups: Sequence[frozenset[bytes]],
    dominated: Callable[[int], int],
    label: Callable[[int], int],
) -> Automaton:
    """The automaton of `patterns`, each with the bit mask that holds where it matches.

    `start_groups` are groups of mount points, whose files are visible below each of them. `dominated(mask)` is the mask
    of all bits that change nothing where `mask` holds, `label(mask)` the outcome. Raises DoesNotFit.
    """
    dfa = minimise(_determinised(patterns, start_groups, dominated, label))
    _check_slots(slots_needed(dfa))
    automaton = pack(dfa)
    _check_slots(len(automaton.slots))
    return automaton


def _check_slots(needed: int) -> None:
    if needed > abi.ARENA_SLOTS:
        raise DoesNotFit("automaton slots for the paths of one policy set", needed, abi.ARENA_SLOTS)


def _determinised(
    patterns: Sequence[tuple[bytes, int]],
    start_groups: Sequence[frozenset[bytes]],
    dominated: Callable[[int], int],
    label: Callable[[int], int],
) -> Dfa:
    """The states; what they were made from is not kept, because minimising needs the memory."""
    nfa = PathNfa()
    for pattern, mask in patterns:
        nfa.add(pattern, mask)
    starts = [nfa.after(b"/")]
    starts += ({node for path in sorted(group) for node in nfa.after(path)} for group in start_groups)
    try:
        return determinise(nfa, starts, dominated, label, MAX_STATES)
    except TooManyStatesError as error:
        worst = ", ".join(_shown(patterns[origin][0]) for origin in error.origins[:_WORST_NAMED])
        what = f"{error.what} of the path automaton of {len(patterns)} patterns, of which these multiply most: {worst}"
        raise DoesNotFit(what, error.cap + 1, error.cap) from None


def _shown(pattern: bytes) -> str:
    text = pattern.decode("utf-8", "backslashreplace")
    return text if len(text) <= _PATTERN_SHOWN else f"{text[:_PATTERN_SHOWN]}…"
