"""The Violations service: history page by page (Query), or history and then whatever arrives (Subscribe).

A subscriber always reads on from its cursor, and a commit only wakes it up: history and live entries come through the
same door, so there is no seam for a hole or a duplicate. A slow reader holds up nobody: gRPC makes `write` wait, and
what it has not read is in the store. What a reader may see is asked first, and again before each message. Next step:
`collector.access`, `collector.pages`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc

from bulkhead.collector.access import Authorizer, Why
from bulkhead.collector.commits import Commits
from bulkhead.collector.filters import END_OF_TIME_NS, EntryFilter
from bulkhead.collector.pages import Page, read_page
from bulkhead.collector.store import Store
from bulkhead.errors import BulkheadError
from bulkhead.report.clock import nanoseconds
from bulkhead.settings import StoreLimits
from bulkhead.v1.violations_pb2 import (
    CaughtUp,
    Lag,
    QueryRequest,
    QueryResponse,
    StoredEntries,
    StoredEntry,
    SubscribeRequest,
    SubscribeResponse,
)
from bulkhead.v1.violations_pb2_grpc import ViolationsServicer

QUERY_LIMIT = 1_000
QUERY_DEFAULT = 100
MESSAGE_ENTRIES = 500  # sent in one message: about 200 KB


class Violations(ViolationsServicer):
    """The service, with so many `subscribers` now."""

    def __init__(self, store: Store, commits: Commits, limits: StoreLimits, authorizer: Authorizer) -> None:
        self._store, self._commits, self._limits, self._authorizer = store, commits, limits, authorizer
        self.subscribers = 0

    @property
    def refusals(self) -> Counter[Why]:
        """Readers that were refused."""
        return self._authorizer.refusals

    async def Query(self, request: QueryRequest, context: Any) -> QueryResponse:  # noqa: N802
        """One page."""
        access = await self._authorizer.authorize(context, "list", request.filter)
        limit = request.limit or QUERY_DEFAULT
        if limit > QUERY_LIMIT:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit {limit}: 1 to {QUERY_LIMIT} are served")
        until_ns = nanoseconds(request.until) if request.HasField("until") else END_OF_TIME_NS
        wanted = EntryFilter(request.filter, nanoseconds(request.since), until_ns, confined=access.confined)
        entries: list[StoredEntry] = []
        page = Page([], request.cursor, complete=False)
        while len(entries) < limit and not page.complete:
            page = await read_page(self._store, page.cursor, wanted, 1)
            entries += page.entries
        if len(entries) > limit:
            entries = entries[:limit]
            return QueryResponse(entries=entries, cursor=entries[-1].cursor, complete=False)
        return QueryResponse(entries=entries, cursor=page.cursor, complete=page.complete)

    async def Subscribe(  # noqa: N802
        self, request: SubscribeRequest, context: Any
    ) -> AsyncIterator[SubscribeResponse]:
        """History, then live, until the reader goes."""
        access = await self._authorizer.authorize(context, "watch", request.filter)
        wanted = EntryFilter(request.filter, nanoseconds(request.since), confined=access.confined)
        self.subscribers += 1
        try:
            async for response in self._follow(wanted, request.cursor):
                await access.check(context)
                yield response
        except BulkheadError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        finally:
            self.subscribers -= 1

    async def _follow(self, wanted: EntryFilter, cursor: int) -> AsyncIterator[SubscribeResponse]:
        caught_up_once = told_lag = False
        while True:
            changed = self._commits.changed
            page = await read_page(self._store, cursor, wanted, self._limits.page_batches)
            for response in messages(page):
                yield response
            cursor = page.cursor
            if page.complete:
                if told_lag or not caught_up_once:
                    yield SubscribeResponse(cursor=cursor, caught_up=CaughtUp())
                caught_up_once, told_lag = True, False
                while not await woken(changed, self._limits.heartbeat_s):
                    yield SubscribeResponse(cursor=cursor, caught_up=CaughtUp())
            elif caught_up_once and not told_lag:
                behind = await asyncio.to_thread(self._store.count_after, cursor)
                told_lag = behind > self._limits.lag_entries
                if told_lag:
                    yield SubscribeResponse(cursor=cursor, lag=Lag(entries=behind))


def messages(page: Page) -> list[SubscribeResponse]:
    """The entries of a page in messages of bounded size."""
    responses = []
    for start in range(0, len(page.entries), MESSAGE_ENTRIES):
        part = page.entries[start : start + MESSAGE_ENTRIES]
        responses.append(SubscribeResponse(cursor=part[-1].cursor, entries=StoredEntries(entries=part)))
    return responses


async def woken(changed: asyncio.Event, timeout_s: float) -> bool:
    """Whether something was committed before the time was over."""
    try:
        await asyncio.wait_for(changed.wait(), timeout_s)
    except TimeoutError:
        return False
    return True
