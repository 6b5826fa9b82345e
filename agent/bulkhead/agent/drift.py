"""Looks every few minutes whether the kernel's maps are still as they should be, and has them mended.

In the thread that enforces, so that nothing changes meanwhile; at other moments on other nodes. The API server is not
asked. Next step: `enforcement.drift`.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from bulkhead.enforcement.drift import MAPS
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample

CHECK_S = 120.0  # to twice that

log = get_log()


class DriftCheck:
    """`repair` mends what differs and says how many entries, by map. `clock` is in seconds, `chance` from 0 to 1."""

    def __init__(
        self,
        repair: Callable[[], Mapping[str, int]],
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._repair = repair
        self._clock = clock
        self._chance = chance
        self._due_s = self._next_s()
        self._checks = 0
        self._repaired: Counter[str] = Counter()

    def step(self) -> None:
        """Look, if it is time. What cannot be mended now is tried again next time."""
        if self._clock() < self._due_s:
            return
        self._due_s = self._next_s()
        try:
            written = self._repair()
        except BulkheadError as error:
            log.error("drift_not_repaired", error=str(error))
            return
        self._checks += 1
        self._repaired.update(written)
        for name, entries in written.items():
            log.warning("drift_repaired", map=name, entries=entries)

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        yield Sample(catalog.DRIFT_CHECKS, self._checks)
        for name in MAPS:
            yield Sample(catalog.DRIFT_REPAIRS, self._repaired[name], (name,))

    def _next_s(self) -> float:
        return self._clock() + CHECK_S * (1 + self._chance())
