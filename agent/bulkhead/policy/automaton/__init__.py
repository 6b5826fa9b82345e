"""One automaton for all path patterns of a policy set.

Whatever the number of patterns, the kernel takes one step a byte, and may remember the state of a directory. Knows
patterns and bit masks, nothing of policies: `policy.lower_paths` says what a mask means. The way is `nfa` (patterns
that share prefixes), `dfa` (states), `minimise`, `pack` (the kernel's array), `walk` (reading it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy.automaton.dfa import TooManyStatesError, determinise
from bulkhead.policy.automaton.minimise import minimise
from bulkhead.policy.automaton.nfa import PathNfa
from bulkhead.policy.automaton.pack import pack, slots_needed
from bulkhead.policy.automaton.walk import outcome_of, state_after
from bulkhead.policy.image import Automaton

__all__ = ["MAX_STATES", "build", "outcome_of", "state_after"]

MAX_STATES = 200_000  # before minimisation; about 100 MB and some seconds while it is built
_WORST_NAMED = 3


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
    nfa = PathNfa()
    for pattern, mask in patterns:
        nfa.add(pattern, mask)
    starts = [nfa.after(b"/")]
    starts += ({node for path in sorted(group) for node in nfa.after(path)} for group in start_groups)
    try:
        dfa = minimise(determinise(nfa, starts, dominated, label, MAX_STATES))
    except TooManyStatesError as error:
        patterns_named = (patterns[origin][0] for origin in error.origins[:_WORST_NAMED])
        worst = ", ".join(pattern.decode("utf-8", "backslashreplace") for pattern in patterns_named)
        what = f"states of the path automaton of {len(patterns)} patterns, of which these multiply most: {worst}"
        raise DoesNotFit(what, MAX_STATES + 1, MAX_STATES) from None
    _check_slots(slots_needed(dfa))
    automaton = pack(dfa)
    _check_slots(len(automaton.slots))
    return automaton


def _check_slots(needed: int) -> None:
    if needed > abi.ARENA_SLOTS:
        raise DoesNotFit("automaton slots for the paths of one policy set", needed, abi.ARENA_SLOTS)
