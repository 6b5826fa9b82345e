"""What an agent says of itself, a JSON object a line, and when it did what it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from queue import Empty, Queue
from threading import Thread
from typing import Any, TextIO

from tools.cluster import BenchError

WAIT_S = 60.0
BOUND = "container_bound"


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Of its log; other lines are somebody else's."""
    return (json.loads(line) for line in lines if line.startswith("{"))


def moment(said: Mapping[str, Any]) -> float:
    """When that was said, by the agent's clock."""
    return datetime.fromisoformat(said["timestamp"]).timestamp()


def last_moment(log: Iterable[Mapping[str, Any]], event: str, **wanted: Any) -> float:
    """When an event was said last."""
    return moment([said for said in log if _is(said, event, wanted)][-1])


def _is(said: Mapping[str, Any], event: str, wanted: Mapping[str, Any]) -> bool:
    return said["event"] == event and wanted.items() <= said.items()


class AgentLog:
    """What the agent says from now on, as it says it."""

    def __init__(self, lines: TextIO) -> None:
        self._said: Queue[dict[str, Any]] = Queue()
        Thread(target=self._read, args=(lines,), daemon=True).start()

    def await_moment(self, event: str, **wanted: Any) -> float:
        """When an event was said next, by the agent's clock. Raises `BenchError` where it is not."""
        while not _is(said := self._next(event), event, wanted):
            pass
        return moment(said)

    def await_bound(self, containers: Iterable[str]) -> tuple[float, float]:
        """When the first and the last of these containers were bound. Raises `BenchError`."""
        missing, moments = set(containers), []
        while missing:
            said = self._next(BOUND)
            if said["event"] == BOUND and said["container"] in missing:
                missing.remove(said["container"])
                moments.append(moment(said))
        return moments[0], moments[-1]

    def _next(self, event: str) -> dict[str, Any]:
        try:
            return self._said.get(timeout=WAIT_S)
        except Empty:
            raise BenchError(f"the agent has not said {event} within {WAIT_S:g} s") from None

    def _read(self, lines: TextIO) -> None:
        for said in events(lines):
            self._said.put(said)
