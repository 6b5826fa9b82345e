"""Whose turn it is, of many that cannot all be looked at each time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

EVERY_S = 0.4  # a little less than what lies between two looks at a node where nothing happens


class Turns:
    """A turn each `every_s` seconds, for the next `share` of them. Who asks more often gets no more for it."""

    def __init__(self, share: int, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._share, self._every_s, self._clock = share, every_s, clock
        self._begin, self._due_s = 0, 0.0

    def take(self, many: Sequence[int]) -> frozenset[int]:
        """Those whose turn it is now, none most of the time."""
        now_s = self._clock()
        if now_s < self._due_s:
            return frozenset()
        begin = self._begin if self._begin < len(many) else 0
        self._begin, self._due_s = begin + self._share, now_s + self._every_s
        return frozenset(many[begin : self._begin])
