"""Tells in the log what the kernel programs could not do: limits that were reached, helpers that failed.

The kernel counts them exactly where they happen (`enum statistic` of probes/include/abi.h) and decides strictly; nobody
would know otherwise that a name was too long, or that memory was short. Next step: docs/limits.md says what each means.
"""

from __future__ import annotations

import threading
from typing import Protocol

from bulkhead.log import get_log

LOOK_S = 10.0
ORDINARY = "records"  # violations written: no complaint

log = get_log()


class Counting(Protocol):
    """What `kernel.instance.Instance` is here."""

    def statistics(self) -> dict[str, int]:
        """Counters by name, since the maps were made."""
        ...


class Complaints:
    """One instance's counters. What was counted before the first look is told by it, too."""

    def __init__(self, instance: Counting) -> None:
        self._instance = instance
        self._told: dict[str, int] = {}

    def look(self) -> None:
        """Tell what was added since the last look."""
        for name, total in self._instance.statistics().items():
            added = total - self._told.get(name, 0)
            if added and name != ORDINARY:
                log.warning("kernel_limit_reached", counter=name, count=added, total=total)
            self._told[name] = total

    def run(self, stopping: threading.Event) -> None:
        """Look again and again until `stopping` is set."""
        while not stopping.wait(LOOK_S):
            self.look()
