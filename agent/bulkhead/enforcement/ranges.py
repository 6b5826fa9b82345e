"""Gives out ranges of numbers: arena slots, outcomes, classes, indices. Pure.

First fit over a sorted list of what is taken; a node has at most a few thousand ranges.
"""

from __future__ import annotations

from bisect import insort

from bulkhead.errors import DoesNotFit, InternalError


class Ranges:
    """Numbers from `first` up to but not including `limit`. `what` names them in messages."""

    def __init__(self, what: str, first: int, limit: int) -> None:
        self._what = what
        self._first = first
        self._limit = limit
        self._taken: list[tuple[int, int]] = []

    def take(self, count: int) -> int:
        """The start of `count` free numbers; nothing is taken for a count of 0. Raises `DoesNotFit`."""
        if count == 0:
            return self._first
        start = self._first
        for taken, length in self._taken:
            if taken - start >= count:
                break
            start = taken + length
        if start + count > self._limit:
            raise DoesNotFit(self._what, self.used() + count, self._limit - self._first)
        insort(self._taken, (start, count))
        return start

    def hold(self, start: int, count: int) -> None:
        """Mark a range as taken that was given out by an earlier process."""
        if count:
            insort(self._taken, (start, count))

    def give_back(self, start: int, count: int) -> None:
        """Return what `take` gave."""
        if count == 0:
            return
        if (start, count) not in self._taken:
            raise InternalError(f"{self._what}: {count} at {start} were given back but never taken")
        self._taken.remove((start, count))

    def used(self) -> int:
        """How many numbers are taken."""
        return sum(count for _, count in self._taken)
