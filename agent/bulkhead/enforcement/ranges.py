"""Gives out numbers: ranges of arena slots, outcomes and classes; single ones for sets and containers. Pure.

Ranges are first fit over a sorted list of what is taken; a node has at most a few thousand. Single numbers go round, so
that one given back is not soon given out again: records that name it may still be on their way.
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


class Numbers:
    """Single numbers from `first` up to but not including `limit`, round and round."""

    def __init__(self, what: str, first: int, limit: int) -> None:
        self._what = what
        self._first = first
        self._limit = limit
        self._next = first
        self._taken: set[int] = set()

    def take(self) -> int:
        """A free number. Raises `DoesNotFit`."""
        room = self._limit - self._first
        if len(self._taken) >= room:
            raise DoesNotFit(self._what, len(self._taken) + 1, room)
        while self._next in self._taken:
            self._advance()
        number = self._next
        self._taken.add(number)
        self._advance()
        return number

    def hold(self, number: int) -> None:
        """Mark a number as taken that was given out by an earlier process."""
        self._taken.add(number)

    def give_back(self, number: int) -> None:
        """Return what `take` gave."""
        if number not in self._taken:
            raise InternalError(f"{self._what}: {number} was given back but never taken")
        self._taken.remove(number)

    def _advance(self) -> None:
        self._next = self._next + 1 if self._next + 1 < self._limit else self._first
