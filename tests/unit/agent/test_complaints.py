"""What the kernel could not do is in the log, each time once."""

from __future__ import annotations

from structlog.testing import capture_logs

from bulkhead.agent.complaints import Complaints


class Counters:
    """Stands for an instance."""

    def __init__(self, **values: int) -> None:
        self.values = values

    def statistics(self) -> dict[str, int]:
        """As they are now."""
        return dict(self.values)


def test_what_was_added_is_told_once() -> None:
    """With the number, and the sum; ordinary violations are no complaint."""
    counters = Counters(records=5, depth_exceeded=0, signal_failed=2)
    complaints = Complaints(counters)
    with capture_logs() as told:
        complaints.look()
        complaints.look()
        counters.values |= {"records": 9, "signal_failed": 3}
        complaints.look()
    assert [(each["counter"], each["count"], each["total"]) for each in told] == [
        ("signal_failed", 2, 2),
        ("signal_failed", 1, 3),
    ]
