"""Gives out numbers: ranges of arena slots, outcomes and classes; a few in a row for sets and containers. Pure.

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
    """Numbers from `first` up to but not including `limit`, one or a few in a row, round and round."""

    def __init__(self, what: str, first: int, limit: int) -> None:
        self._what = what
        self._first = first
        self._limit = limit
        self._next = first
        self._taken: set[int] = set()

    def take(self, count: int = 1) -> int:
        """The first of `count` free numbers in a row. Raises `DoesNotFit`."""
        room = self._limit - self._first
        for tried in range(room):
            start = self._first + (self._next - self._first + tried) % room
            wanted = range(start, start + count)
            if start + count <= self._limit and self._taken.isdisjoint(wanted):
                self._taken.update(wanted)
                self._next = start + count if start + count < self._limit else self._first
                return start
        raise DoesNotFit(self._what, len(self._taken) + count, room)

    def hold(self, number: int, count: int = 1) -> None:
        """Mark numbers as taken that were given out by an earlier process."""
        self._taken.update(range(number, number + count))

    def give_back(self, number: int, count: int = 1) -> None:
        """Return what `take` gave."""
        numbers = range(number, number + count)
        if not self._taken.issuperset(numbers):
            raise InternalError(f"{self._what}: {count} at {number} were given back but never taken")
        self._taken.difference_update(numbers)
