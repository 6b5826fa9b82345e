"""Numbers are given out once, and given back whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkhead.enforcement.ranges import Numbers, Ranges
from bulkhead.errors import DoesNotFit, InternalError


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), max_size=30))
def test_ranges_never_overlap(steps: list[tuple[int, bool]]) -> None:
    """Whatever is taken and given back: what is held is disjoint and within the limits."""
    ranges = Ranges("things", 5, 60)
    held: list[tuple[int, int]] = []
    for count, back in steps:
        if back and held:
            ranges.give_back(*held.pop(0))
            continue
        try:
            held.append((ranges.take(count), count))
        except DoesNotFit:
            assert sum(length for _, length in held) + count > 55 - 9 * len(held)
    numbers = [number for start, count in held for number in range(start, start + count)]
    assert len(numbers) == len(set(numbers))
    assert all(5 <= number < 60 for number in numbers)
    assert ranges.used() == len(numbers)


def test_what_does_not_fit_says_so() -> None:
    """With the number needed and the limit; and nothing is taken."""
    ranges = Ranges("slots", 0, 10)
    ranges.take(8)
    with pytest.raises(DoesNotFit, match="slots: 11 needed, the limit is 10"):
        ranges.take(3)
    assert ranges.take(2) == 8


def test_what_an_earlier_process_held_is_not_given_out() -> None:
    """Adopted ranges are taken."""
    ranges = Ranges("slots", 0, 10)
    ranges.hold(0, 4)
    assert ranges.take(6) == 4
    with pytest.raises(InternalError):
        ranges.give_back(0, 3)


def test_numbers_go_round() -> None:
    """A number that was given back is not given out again before the others; full is an error."""
    numbers = Numbers("sets", 1, 4)
    assert [numbers.take(), numbers.take()] == [1, 2]
    numbers.give_back(1)
    assert [numbers.take(), numbers.take()] == [3, 1]
    with pytest.raises(DoesNotFit, match="4 needed, the limit is 3"):
        numbers.take()
    with pytest.raises(InternalError):
        Numbers("sets", 1, 4).give_back(1)


def test_numbers_in_a_row_are_free_and_do_not_wrap() -> None:
    """A row begins where all of it fits, is held and given back whole, and does not reach over the limit."""
    numbers = Numbers("sets", 1, 7)
    assert [numbers.take(2), numbers.take(3)] == [1, 3]
    with pytest.raises(DoesNotFit, match="sets: 7 needed, the limit is 6"):
        numbers.take(2)
    numbers.give_back(1, 2)
    assert numbers.take(2) == 1
    with pytest.raises(InternalError):
        numbers.give_back(5, 2)
