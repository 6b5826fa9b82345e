"""Patterns as one non-deterministic automaton over bytes that shares prefixes like a trie.

Sharing keeps thousands of exact paths small before anything is determinised. Every edge, save a node's loop on itself,
leads to a node made later, so whatever is known of a node's future is computed in one pass from the last node to the
first. Next step: `dfa.determinise`.
"""

from __future__ import annotations

from collections.abc import Iterator

from bulkhead.errors import InternalError

SLASH = 0x2F
_STAR, _QUESTION = 0x2A, 0x3F

LOOP_ELEMENT = 1  # stays on any byte but '/'
LOOP_ANY = 2  # stays on any byte


class PathNfa:
    """Nodes are numbers from 0, the root; what few nodes have is kept in dictionaries.

    `literals[node]` maps a byte to a node; `single` is where any one byte but '/' leads; `empty` lists nodes reached
    without a byte; `loops` says how a node stays; `accepts` is the bit mask that holds where the node is active;
    `origins[node]` is the number of the pattern that made the node.
    """

    def __init__(self) -> None:
        self.literals: list[dict[int, int]] = []
        self.single: dict[int, int] = {}
        self.empty: dict[int, list[int]] = {}
        self.loops: dict[int, int] = {}
        self.accepts: dict[int, int] = {}
        self.origins: list[int] = []
        self._shared: dict[tuple[int, bytes], int] = {}
        self._patterns = 0
        self.root = self._node()

    def add(self, pattern: bytes, mask: int) -> None:
        """Let `mask` hold on every path that `pattern` (absolute, canonical) matches."""
        if not pattern.startswith(b"/") or b"\0" in pattern:
            raise InternalError(f"path pattern {pattern!r} should have been refused; nothing was changed")
        node = self.root
        elements = _elements(pattern)
        for position, element in enumerate(elements):
            last = position == len(elements) - 1
            if element == b"**":
                node = self._below(node) if last else self._skip(node)
            else:
                node = self._element(self._literal(node, SLASH), element, last)
        self.accepts[node] = self.accepts.get(node, 0) | mask
        self._patterns += 1

    def successors(self, node: int) -> Iterator[int]:
        """Every node that one edge leads to, the node's own loop left out."""
        yield from self.literals[node].values()
        if node in self.single:
            yield self.single[node]
        yield from self.empty.get(node, ())

    def closure(self, nodes: set[int]) -> set[int]:
        """`nodes` (which is changed) and all that is reached from them without a byte."""
        if self.empty.keys().isdisjoint(nodes):
            return nodes
        pending = list(nodes)
        while pending:
            for node in self.empty.get(pending.pop(), ()):
                if node not in nodes:
                    nodes.add(node)
                    pending.append(node)
        return nodes

    def after(self, path: bytes) -> set[int]:
        """The nodes that are active after `path`; "/" is the root, where no byte has been read."""
        active = self.closure({self.root})
        for byte in b"" if path == b"/" else path:
            reached = {self.literals[node][byte] for node in active if byte in self.literals[node]}
            if byte != SLASH:
                reached.update(self.single[node] for node in active if node in self.single)
            reached.update(node for node in active if self._stays(node, byte))
            active = self.closure(reached)
        return active

    def _stays(self, node: int, byte: int) -> bool:
        loop = self.loops.get(node)
        return loop == LOOP_ANY or (loop == LOOP_ELEMENT and byte != SLASH)

    def _node(self, loop: int = 0) -> int:
        node = len(self.literals)
        self.literals.append({})
        self.origins.append(self._patterns)
        if loop:
            self.loops[node] = loop
        return node

    def _literal(self, node: int, byte: int) -> int:
        edges = self.literals[node]
        if byte not in edges:
            edges[byte] = self._node()
        return edges[byte]

    def _branch(self, node: int, what: bytes, loop: int) -> int:
        """The looping node that is reached from `node` without a byte; one for each `what`."""
        found = self._shared.get((node, what))
        if found is None:
            found = self._shared[node, what] = self._node(loop)
            self.empty.setdefault(node, []).append(found)
        return found

    def _element(self, node: int, element: bytes, last: bool) -> int:
        """After one element without `**`. A star that ends the pattern gets a node of its own, which has no future
        but itself: that is what makes other nodes superfluous beside it (see `dfa`)."""
        for position, byte in enumerate(element):
            if byte == _STAR:
                if self.loops.get(node) == LOOP_ELEMENT:
                    continue
                ends = last and not element[position:].strip(b"*")
                node = self._branch(node, b"rest" if ends else b"star", LOOP_ELEMENT)
            elif byte == _QUESTION:
                if node not in self.single:
                    self.single[node] = self._node()
                node = self.single[node]
            else:
                node = self._literal(node, byte)
        return node

    def _below(self, node: int) -> int:
        """`**` as the last element: everything after the next '/'."""
        return self._branch(self._literal(node, SLASH), b"below", LOOP_ANY)

    def _skip(self, node: int) -> int:
        """`**` as a middle element: a node that only '/' leaves, active here and inside every element further on."""
        found = self._shared.get((node, b"skip"))
        if found is None:
            inside = self._branch(self._literal(node, SLASH), b"inside", LOOP_ANY)
            found = self._shared[node, b"skip"] = self._node()
            self.empty.setdefault(node, []).append(found)
            self.empty.setdefault(inside, []).append(found)
        return found


def _elements(pattern: bytes) -> list[bytes]:
    """Elements, with runs of `**` made one: zero or more and zero or more is zero or more, and so for one or more."""
    elements: list[bytes] = []
    for element in [] if pattern == b"/" else pattern[1:].split(b"/"):
        if not (element == b"**" and elements[-1:] == [b"**"]):
            elements.append(element)
    return elements
