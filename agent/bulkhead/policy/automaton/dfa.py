"""From sets of active nodes to states: the subset construction, with superfluous nodes left out.

Without leaving out, fourteen patterns like `/d/*name*` make more than 300,000 states; with it, a few dozen. A node is
superfluous beside one that holds from here on (`/d/**`, or `/d/a*` until the next '/') if whatever the node can still
add changes no decision. Some sets still explode, so states are capped, and with them what they hold and the work that
finding them takes: time and memory are bounded whatever the patterns are. Next step: `minimise.minimise`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bulkhead.policy.automaton.nfa import LOOP_ANY, LOOP_ELEMENT, SLASH, PathNfa

_DEAD = 0
_RECENT = 5_000  # states that are looked at to name what explodes

# For each state of the limit. A set of 10,000 ordinary rules needs 1.1 and 0.3.
_HELD = 5  # nodes and edges that are kept: 1 KB a state or less
_LOOKED_AT = 100  # nodes that are put into sets: 10 microseconds a state or less


@dataclass
class Dfa:
    """State s leads to `rows[s][byte]`, else to `defaults[s]`; `labels[s]` is what holds there."""

    defaults: list[int]
    rows: list[dict[int, int]]
    labels: list[int]
    starts: list[int]

    def __len__(self) -> int:
        return len(self.defaults)


class TooManyStatesError(Exception):
    """A cap was reached: of `what`. `origins` are the patterns that multiply most, worst first.

    Does not leave the package.
    """

    def __init__(self, what: str, cap: int, origins: list[int]) -> None:
        self.what, self.cap, self.origins = what, cap, origins
        super().__init__(f"over {cap} {what}")


# One node, or several. Most states have one, and a number is a cheaper key than a set.
_Nodes = int | frozenset[int]


def determinise(
    nfa: PathNfa, starts: Iterable[set[int]], dominated: Callable[[int], int], label: Callable[[int], int], limit: int
) -> Dfa:
    """States for `starts` and all that follows them.

    `dominated(mask)` is the mask of all bits that change nothing where `mask` holds; `label(mask)` is the label of a
    state. Raises TooManyStatesError beyond `limit` states, or what so many may take.
    """
    return _Construction(nfa, dominated).run(starts, label, limit)


class _Construction:
    def __init__(self, nfa: PathNfa, dominated: Callable[[int], int]) -> None:
        self._nfa = nfa
        self._prune = _Pruning(nfa, dominated).prune
        self._numbers: dict[_Nodes, int] = {frozenset(): _DEAD}
        self._order: list[_Nodes] = [frozenset()]
        self._held = self._looked_at = 0

    def run(self, starts: Iterable[set[int]], label: Callable[[int], int], limit: int) -> Dfa:
        nfa, order = self._nfa, self._order
        dfa = Dfa([], [], [], [self._state(nodes) for nodes in starts])
        simple = _nodes_with_literals_only(nfa)
        while len(dfa) < len(order):
            nodes = order[len(dfa)]
            if isinstance(nodes, int) and simple[nodes]:
                default, row = _DEAD, {byte: self._target(node) for byte, node in nfa.literals[nodes].items()}
            else:
                default, row = self._expand((nodes,) if isinstance(nodes, int) else nodes)
            dfa.defaults.append(default)
            dfa.rows.append(row)
            dfa.labels.append(label(self._mask(nodes)))
            self._held += len(row)
            self._check(limit)
        return dfa

    def _check(self, limit: int) -> None:
        """One state at most has been looked at since the last time."""
        for count, cap, what in (
            (len(self._order), limit, "states"),
            (self._held, limit * _HELD, "nodes and edges"),
            (self._looked_at, limit * _LOOKED_AT, "steps of building"),
        ):
            if count > cap:
                raise TooManyStatesError(what, cap, self._worst())

    def _mask(self, nodes: _Nodes) -> int:
        if isinstance(nodes, int):
            return self._nfa.accepts.get(nodes, 0)
        mask = 0
        for node in nodes:
            mask |= self._nfa.accepts.get(node, 0)
        return mask

    def _expand(self, nodes: Iterable[int]) -> tuple[int, dict[int, int]]:
        """The default of a state, and the bytes that lead elsewhere."""
        nfa = self._nfa
        in_element: list[int] = []  # active after any byte but '/'
        over_slash: list[int] = []  # active after '/', besides literals
        literals: dict[int, list[int]] = {}
        for node in nodes:
            loop = nfa.loops.get(node)
            if loop is not None:
                in_element.append(node)
            if loop == LOOP_ANY:
                over_slash.append(node)
            if node in nfa.single:
                in_element.append(nfa.single[node])
            for byte, target in nfa.literals[node].items():
                literals.setdefault(byte, []).append(target)
        default = self._state(set(in_element))
        row = {SLASH: self._state({*over_slash, *literals.pop(SLASH, ())})}
        for byte, targets in literals.items():
            row[byte] = self._state({*in_element, *targets})
        return default, {byte: state for byte, state in row.items() if state != default}

    def _target(self, node: int) -> int:
        """The state of one node, which is the common case."""
        if node in self._nfa.empty:
            return self._state({node})
        return self._number(node)

    def _state(self, nodes: set[int]) -> int:
        closed = self._nfa.closure(nodes)
        self._looked_at += len(closed)
        if len(closed) == 1:
            return self._number(next(iter(closed)))
        key = frozenset(closed)
        number = self._numbers.get(key)
        if number is None:
            self._held += len(closed)
            number = self._numbers[key] = self._number(self._prune(key))
        return number

    def _number(self, nodes: _Nodes) -> int:
        number = self._numbers.get(nodes)
        if number is None:
            number = self._numbers[nodes] = len(self._order)
            self._order.append(nodes)
        return number

    def _worst(self) -> list[int]:
        """Patterns that take part in most of the latest states, those of many nodes, which multiply, above all."""
        seen: Counter[int] = Counter()
        for nodes in self._order[-_RECENT:]:
            if not isinstance(nodes, int):
                seen.update({self._nfa.origins[node]: len(nodes) for node in nodes})
        return [origin for origin, _ in seen.most_common()]


def _nodes_with_literals_only(nfa: PathNfa) -> bytearray:
    simple = bytearray(b"\1") * len(nfa.literals)
    for node in (*nfa.loops, *nfa.single, *nfa.empty):
        simple[node] = 0
    return simple


class _Pruning:
    """Which nodes are superfluous beside which."""

    def __init__(self, nfa: PathNfa, dominated: Callable[[int], int]) -> None:
        self._accepts, self._loops, self._dominated = nfa.accepts, nfa.loops, dominated
        self._reach, self._crosses = _futures(nfa)
        # where a pattern ends in a star: no future but the node itself, and what it accepts holds as long as it stays
        self._lasting = nfa.loops.keys() & nfa.accepts.keys()

    def prune(self, nodes: frozenset[int]) -> _Nodes:
        lasting = sorted(nodes & self._lasting, key=lambda node: (self._loops[node] == LOOP_ELEMENT, node))
        if not lasting:
            return nodes
        kept, in_element, below = self._needed(lasting)
        for node in nodes - self._lasting:
            added = self._reach[node] & ~self._dominated(below)
            if added and not self._crosses[node]:
                added &= ~self._dominated(in_element)
            if added:
                kept.append(node)
        return kept[0] if len(kept) == 1 else frozenset(kept)

    def _needed(self, lasting: list[int]) -> tuple[list[int], int, int]:
        """The lasting nodes that are needed, and what holds within this element and for everything below.

        Those that last beyond '/' come first: they are never superfluous beside one that does not.
        """
        kept: list[int] = []
        in_element = below = 0
        for node in lasting:
            accepts = self._accepts[node]
            if accepts & ~self._dominated(in_element):
                kept.append(node)
                in_element |= accepts
                if self._loops[node] == LOOP_ANY:
                    below |= accepts
        return kept, in_element, below


def _futures(nfa: PathNfa) -> tuple[list[int], bytearray]:
    """For each node the mask of all it can come to accept, and whether it can do so beyond the next '/'."""
    count = len(nfa.literals)
    reach, crosses = [0] * count, bytearray(count)
    for node in range(count - 1, -1, -1):
        total = nfa.accepts.get(node, 0)
        beyond = nfa.loops.get(node) == LOOP_ANY or SLASH in nfa.literals[node]
        for successor in nfa.successors(node):
            future = reach[successor]
            if total != future:  # one mask is shared along a chain of nodes: masks of thousands of rules are large
                total = total | future if total else future
            beyond = beyond or bool(crosses[successor])
        reach[node], crosses[node] = total, beyond
    return reach, crosses
