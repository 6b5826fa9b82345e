"""What the pump passes on after a restart."""

from __future__ import annotations

from bulkhead import abi
from bulkhead.agent.pump import cap_repeat
from bulkhead.report.reconcile import CounterName


def repeat(count: int) -> tuple[bytes, bytes]:
    """An entry of the table of repeats."""
    return bytes(abi.RepeatKey(container=1, set=2, rule=3, verdict=3)), bytes(abi.Repeat(count=count))


def test_repeats_are_told_up_to_what_the_counters_leave_room_for() -> None:
    """What an earlier agent had told is not told again, and two entries of one counter share its room."""
    room = {CounterName(1, 2, 3, 3): 7}
    counts = [abi.Repeat.from_buffer_copy(cap_repeat(*repeat(5), room)).count for _ in range(3)]
    assert counts == [5, 2, 0]


def test_without_a_counter_nothing_is_told() -> None:
    """A counter that is gone was settled."""
    assert abi.Repeat.from_buffer_copy(cap_repeat(*repeat(5), {})).count == 0
