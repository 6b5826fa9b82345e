"""Path patterns read element by element, for what walks a tree of names and is not the kernel. Pure.

Next step: `enforcement.hard_links` walks what a container sees, `policy.select` asks about cgroups.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

Position = tuple[int, int]  # pattern, element that is read next


class Patterns:
    """Patterns that are read element by element, many at once."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._elements = [pattern[1:].split(b"/") if pattern != b"/" else [] for pattern in sorted(set(patterns))]
        self._compiled: dict[bytes, re.Pattern[bytes]] = {}
        self._following: dict[frozenset[Position], re.Pattern[bytes]] = {}

    def start(self) -> frozenset[Position]:
        """Before the first element."""
        return self._closed((number, 0) for number in range(len(self._elements)))

    def after(self, positions: frozenset[Position], name: bytes) -> frozenset[Position]:
        """Behind one more element."""
        return self._closed(self._steps(positions, name))

    def along(self, path: bytes) -> frozenset[Position]:
        """Behind all of an absolute path; nothing where no pattern matches it, or anything below it."""
        positions = self.start()
        for name in path.split(b"/")[1:] if path != b"/" else ():
            positions = self.after(positions, name)
        return positions

    def matches(self, positions: frozenset[Position]) -> bool:
        """Whether a whole pattern was read."""
        return any(at == len(self._elements[number]) for number, at in positions)

    def literals(self, positions: frozenset[Position]) -> set[bytes] | None:
        """The names that can come next, or None where that needs a look at what there is."""
        following = self._next_elements(positions)
        return None if any(_is_wild(element) for element in following) else following

    def next_names(self, positions: frozenset[Position]) -> re.Pattern[bytes]:
        """What matches every name, as a whole, that can come next."""
        found = self._following.get(positions)
        if found is None:
            text = b"|".join(sorted(map(_expression, self._next_elements(positions)))) or rb"(?!)"
            found = self._following[positions] = re.compile(text, re.DOTALL)
        return found

    def _next_elements(self, positions: frozenset[Position]) -> set[bytes]:
        return {self._elements[number][at] for number, at in positions if at < len(self._elements[number])}

    def _steps(self, positions: frozenset[Position], name: bytes) -> Iterator[Position]:
        for number, at in positions:
            elements = self._elements[number]
            if at == len(elements):
                continue
            if elements[at] == b"**":
                yield number, at
                if at == len(elements) - 1:
                    yield number, at + 1
            elif elements[at] == name or (_is_wild(elements[at]) and self._expression(elements[at]).fullmatch(name)):
                yield number, at + 1

    def _closed(self, positions: Iterable[Position]) -> frozenset[Position]:
        """With what a `**` in the middle, which may stand for nothing, lets follow at once."""
        found = set()
        for number, first in positions:
            elements, at = self._elements[number], first
            found.add((number, at))
            while at < len(elements) - 1 and elements[at] == b"**":
                at += 1
                found.add((number, at))
        return frozenset(found)

    def _expression(self, element: bytes) -> re.Pattern[bytes]:
        found = self._compiled.get(element)
        if found is None:
            found = self._compiled[element] = re.compile(_expression(element), re.DOTALL)
        return found


def _expression(element: bytes) -> bytes:
    """A regular expression for whole names. Each part between two stars is matched where it first occurs, and not
    elsewhere: else a name made for it would keep the search, and with it the process, busy for hours."""
    first, *others = (
        b"".join(b"." if byte == b"?" else re.escape(byte) for byte in re.findall(b"(?s).", part))
        for part in re.split(rb"\*+", element)
    )
    if not others:
        return first
    *between, last = others
    return first + b"".join(b"(?>.*?" + part + b")" for part in between) + b".*" + last


def _is_wild(element: bytes) -> bool:
    return b"*" in element or b"?" in element
