"""Arrivals of all agents gathered into transactions: one fsync for whatever came while the last one ran.

Bounded: when enough waits, agents wait, and their spools keep. A store that fails is tried every few seconds, whether
or not anybody delivers, so that `wrong` tells what is true now. Next step: `collector.store`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bulkhead.collector.arrival import Arrival
from bulkhead.collector.store import Store
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log

log = get_log()

RETAIN_EVERY_S = 60.0
PROBE_EVERY_S = 5.0
TRANSACTION_BATCHES = 64  # a commit of 32,000 entries takes about 100 ms: no agent waits longer for its turn


@dataclass
class Counts:
    """What was done since the start."""

    received: int = 0
    committed: int = 0
    failures: int = 0


class Commits:
    """The only writer of a store. `changed` is set anew after each commit, for readers that wait.

    `took` is told the seconds of each commit. `wrong` is what the store failed with last, empty where it did not.
    """

    def __init__(self, store: Store, queue_batches: int, took: Callable[[float], None] = lambda _: None) -> None:
        self._store, self._took = store, took
        self._queue: asyncio.Queue[tuple[Arrival, asyncio.Future[int]]] = asyncio.Queue(queue_batches)
        self._retained_s = 0.0
        self.changed = asyncio.Event()
        self.counts = Counts()
        self.wrong = ""

    async def put(self, arrival: Arrival) -> asyncio.Future[int]:
        """Waits for room; the future is the arrival's last sequence when it is durable, or the store's error."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        await self._queue.put((arrival, future))
        self.counts.received += arrival.entries
        return future

    def waiting(self) -> int:
        """Batches that wait for their commit."""
        return self._queue.qsize()

    async def run(self) -> None:
        """Commits what comes, until it is cancelled."""
        while True:
            try:
                first = await asyncio.wait_for(self._queue.get(), PROBE_EVERY_S if self.wrong else None)
            except TimeoutError:
                await self._probe()
                continue
            waiting = [first]
            while not self._queue.empty() and len(waiting) < TRANSACTION_BATCHES:
                waiting.append(self._queue.get_nowait())
            await self._commit(waiting)

    async def _probe(self) -> None:
        try:
            await asyncio.to_thread(self._store.probe)
            self.wrong = ""
        except BulkheadError as error:
            self.wrong = str(error)

    async def _commit(self, waiting: list[tuple[Arrival, asyncio.Future[int]]]) -> None:
        began_s = time.monotonic()
        try:
            await asyncio.to_thread(self._store_all, [arrival for arrival, _ in waiting])
        except BulkheadError as error:
            self.counts.failures += 1
            self.wrong = str(error)
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
                    future.exception()  # an agent that has gone meanwhile does not ask
            return
        self._took(time.monotonic() - began_s)
        self.counts.committed += sum(arrival.entries for arrival, _ in waiting)
        self.wrong = ""
        for arrival, future in waiting:
            if not future.done():
                future.set_result(arrival.last_sequence)
        self.changed.set()
        self.changed = asyncio.Event()

    def _store_all(self, arrivals: list[Arrival]) -> None:
        self._store.commit(arrivals)
        if time.monotonic() - self._retained_s > RETAIN_EVERY_S:
            self._retained_s = time.monotonic()
            self._store.retain()
