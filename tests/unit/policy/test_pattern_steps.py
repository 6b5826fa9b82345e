"""Patterns that are read name by name: every name that goes on is let through, and no name keeps the search busy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkhead.policy.oracle import path_matches
from bulkhead.policy.pattern_steps import Patterns

ELEMENTS = st.lists(st.sampled_from([b"a", b"b", b".", b"*", b"?", b"\n"]), min_size=1, max_size=7).map(b"".join)
NAMES = st.lists(st.sampled_from([b"a", b"b", b".", b"\n", b"\xff"]), min_size=1, max_size=9).map(b"".join)


@given(st.lists(ELEMENTS, min_size=1, max_size=3), NAMES)
def test_a_name_can_come_next_where_a_pattern_goes_on_behind_it(elements: list[bytes], name: bytes) -> None:
    """Whoever lists a directory asks one expression, and opens what it names."""
    patterns = Patterns(b"/top/" + each + b"/below" for each in elements)
    here = patterns.along(b"/top")
    assert bool(patterns.next_names(here).fullmatch(name)) == bool(patterns.after(here, name))


@given(ELEMENTS.filter(lambda element: element != b"**"), NAMES)
def test_an_element_matches_as_the_reference_says(element: bytes, name: bytes) -> None:
    """One element alone, with whatever bytes a name may have."""
    patterns = Patterns([b"/" + element])
    assert patterns.matches(patterns.along(b"/" + name)) == path_matches(b"/" + element, b"/" + name)


def test_nothing_comes_behind_the_end() -> None:
    """A pattern that was read whole lets nothing below through."""
    patterns = Patterns([b"/top"])
    assert patterns.next_names(patterns.along(b"/top")).fullmatch(b"name") is None


@pytest.mark.parametrize("name", [b"a" * 255, b"a" * 254 + b"b"])
def test_a_name_made_for_a_pattern_of_many_stars_is_judged_at_once(name: bytes) -> None:
    """Tried in all its ways, it would take longer than this world has to live; no other thread would run meanwhile."""
    patterns = Patterns([b"/" + b"*a" * 20 + b"*c"])
    assert not patterns.matches(patterns.along(b"/" + name))
    assert patterns.matches(patterns.along(b"/" + name + b"c"))
