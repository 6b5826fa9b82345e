"""The smallest automaton with the same labels: fewer slots, and equal states exactly where the futures are equal.

The kernel relies on the latter: a directory may be renamed where its state stays the same.

Two ways, each where it is fast. States that no cycle leads to, nearly all of a set of exact paths, are met last to
first: by then their successors are classified, and equal rows are one class. The rest is split until rows agree,
looking again only at states whose successors were split off. Next step: `pack.pack`.
"""

from __future__ import annotations

from collections import defaultdict

from bulkhead.policy.automaton.dfa import Dfa

# label, class of the default, and byte << 32 | class of each byte that leads elsewhere
_Signature = tuple[int, int, tuple[int, ...]]


def minimise(dfa: Dfa) -> Dfa:
    """An equivalent automaton without two equivalent states; states are numbered in the order of `dfa`."""
    before_cycles = _before_cycles(dfa)
    classes = [-1] * len(dfa)
    outside = set(before_cycles)
    count = _Refinement(dfa, classes, [state for state in range(len(dfa)) if state not in outside]).run()
    _classify(dfa, classes, before_cycles, count)
    return _quotient(dfa, classes)


def _before_cycles(dfa: Dfa) -> list[int]:
    """The states that no cycle leads to, each before its successors."""
    entries = [0] * len(dfa)
    for default, row in zip(dfa.defaults, dfa.rows, strict=True):
        entries[default] += 1
        for target in row.values():
            entries[target] += 1
    order = [state for state, count in enumerate(entries) if count == 0]
    for state in order:  # grows
        for target in (dfa.defaults[state], *dfa.rows[state].values()):
            entries[target] -= 1
            if entries[target] == 0:
                order.append(target)
    return order


def _signature(dfa: Dfa, state: int, classes: list[int]) -> _Signature:
    default = classes[dfa.defaults[state]]
    row = dfa.rows[state]
    if not row:
        return dfa.labels[state], default, ()
    entries = [byte << 32 | classes[target] for byte, target in row.items() if classes[target] != default]
    return dfa.labels[state], default, tuple(sorted(entries))


def _classify(dfa: Dfa, classes: list[int], before_cycles: list[int], count: int) -> None:
    """Classes of the states before cycles, given those of all others; `count` classes exist."""
    known: dict[_Signature, int] = {}
    for state, found in enumerate(classes):
        if found >= 0:
            known.setdefault(_signature(dfa, state, classes), found)
    for state in reversed(before_cycles):
        signature = _signature(dfa, state, classes)
        found = known.get(signature, -1)
        if found < 0:
            found = known[signature] = count
            count += 1
        classes[state] = found


class _Refinement:
    """Splits the states of `members`, which only lead to one another, into classes."""

    def __init__(self, dfa: Dfa, classes: list[int], members: list[int]) -> None:
        self._dfa, self._classes, self._members = dfa, classes, members
        self._sources: dict[int, list[int]] = defaultdict(list)
        for state in members:
            for target in {dfa.defaults[state], *dfa.rows[state].values()}:
                self._sources[target].append(state)
        self._sizes = [len(members)]
        self._signatures: list[_Signature | None] = [None]  # of the states of a class that were not split off since

    def run(self) -> int:
        """Fill in `classes`; returns how many there are."""
        for state in self._members:
            self._classes[state] = 0
        changed = self._members
        while changed:
            moved = self._split(changed)
            changed = sorted({source for state in moved for source in self._sources[state]})
        return len(self._sizes)

    def _split(self, changed: list[int]) -> list[int]:
        """Look again at states whose successors moved; returns those that moved to a new class."""
        groups: dict[int, dict[_Signature, list[int]]] = defaultdict(lambda: defaultdict(list))
        for state in changed:
            groups[self._classes[state]][_signature(self._dfa, state, self._classes)].append(state)
        moved: list[int] = []
        for found, by_signature in groups.items():
            keeps = self._signature_that_keeps(found, by_signature)
            self._signatures[found] = keeps
            for signature, states in by_signature.items():
                if signature != keeps:
                    self._move(states, found, signature)
                    moved += states
        return moved

    def _signature_that_keeps(self, found: int, by_signature: dict[_Signature, list[int]]) -> _Signature:
        """Which part keeps the number of its class: the unchanged one, else the one that most states lead to, so that
        few have to be looked at again."""
        unchanged = self._sizes[found] - sum(len(states) for states in by_signature.values())
        kept = self._signatures[found]
        if unchanged and kept is not None:
            return kept
        return max(by_signature, key=lambda signature: sum(len(self._sources[s]) for s in by_signature[signature]))

    def _move(self, states: list[int], found: int, signature: _Signature) -> None:
        self._sizes[found] -= len(states)
        for state in states:
            self._classes[state] = len(self._sizes)
        self._sizes.append(len(states))
        self._signatures.append(signature)


def _quotient(dfa: Dfa, classes: list[int]) -> Dfa:
    numbers: dict[int, int] = {}
    representatives: list[int] = []
    for state, found in enumerate(classes):
        if found not in numbers:
            numbers[found] = len(numbers)
            representatives.append(state)
    renumbered = [numbers[found] for found in classes]
    defaults = [renumbered[dfa.defaults[state]] for state in representatives]
    rows = [
        {byte: renumbered[target] for byte, target in dfa.rows[state].items() if renumbered[target] != default}
        for state, default in zip(representatives, defaults, strict=True)
    ]
    labels = [dfa.labels[state] for state in representatives]
    return Dfa(defaults, rows, labels, [renumbered[state] for state in dfa.starts])
