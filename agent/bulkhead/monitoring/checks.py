"""When a program is well: checks that answer with what is wrong, or with nothing.

*Alive* means that its loops turn: a program that is not is started anew. *Ready* means that it does what it is there
for. Nothing that somebody else has to mend makes a program not alive, nor does anything that it does not need for its
work make it not ready. Anybody may ask, so answers have no names of users' objects in them. Next step:
`monitoring.server`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WELL = ""


@dataclass(frozen=True)
class Check:
    """`ask` returns what is wrong, in a line, or `WELL`. It must be quick, and right in any thread."""

    name: str
    ask: Callable[[], str]


@dataclass(frozen=True)
class Health:
    """The checks of one program."""

    alive: tuple[Check, ...] = ()
    ready: tuple[Check, ...] = ()


class Heartbeat:
    """When a loop last came round. `limit_s`: how long it may take at the worst."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._clock = limit_s, clock
        self._last_s: float | None = None

    def beat(self) -> None:
        """The loop came round."""
        self._last_s = self._clock()

    def ask(self) -> str:
        """A check of it; well before it first came round."""
        silent_s = self._clock() - self._last_s if self._last_s is not None else 0.0
        if silent_s <= self._limit_s:
            return WELL
        return f"did not come round for {silent_s:.0f} s; it should within {self._limit_s:.0f}"


def happened(event: threading.Event, otherwise: str) -> Callable[[], str]:
    """A check that an event is set."""
    return lambda: WELL if event.is_set() else otherwise
