"""What an agent said is found by what it is about, in the order in which it was said."""

from __future__ import annotations

import io
import json

from tests.bench.agent_log import BOUND, AgentLog, events, last_moment


def said(second: int, event: str, **keys: object) -> str:
    """A line of a log."""
    return json.dumps({"event": event, "timestamp": f"1970-01-01T00:00:{second:02}Z", **keys}) + "\n"


def test_other_lines_are_passed_over() -> None:
    """Those of a library that writes to the same stream."""
    assert [each["event"] for each in events(["E1130 gone\n", said(1, "agent_ready")])] == ["agent_ready"]


def test_the_last_of_what_was_said_counts() -> None:
    """Of the events with these keys."""
    lines = [said(1, BOUND, container="a"), said(2, BOUND, container="a"), said(3, BOUND, container="b")]
    assert last_moment(list(events(lines)), BOUND, container="a") == 2.0


def test_all_containers_are_waited_for() -> None:
    """From the first to the last; others are nobody's, nor is one that is bound again."""
    names = ("other", "a", "a", "b", "c")
    log = AgentLog(io.StringIO("".join(said(at, BOUND, container=name) for at, name in enumerate(names))))
    assert log.await_bound(["a", "b"]) == (1.0, 3.0)
    assert log.await_moment(BOUND, container="c") == 4.0
