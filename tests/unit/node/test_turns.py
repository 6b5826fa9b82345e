"""Each of many has its turn, and asking often gives nobody more."""

from __future__ import annotations

from bulkhead.node.turns import Turns


def test_each_has_its_turn() -> None:
    """Five of them by two; after the last the first again, also where there are fewer by then."""
    turns = Turns(2, every_s=0)
    assert [sorted(turns.take(range(5))) for _ in range(4)] == [[0, 1], [2, 3], [4], [0, 1]]
    assert sorted(turns.take(range(2))) == [0, 1]


def test_turns_go_by_the_clock() -> None:
    """However often somebody asks between two."""
    now = 10.0
    turns = Turns(2, every_s=1, clock=lambda: now)
    assert sorted(turns.take(range(4))) == [0, 1]
    now = 10.9
    assert turns.take(range(4)) == frozenset()
    now = 11.0
    assert sorted(turns.take(range(4))) == [2, 3]
