"""What a reader gets after its cursor: batches of the store made into entries with cursor and identity.

Used by `collector.readers`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple

from bulkhead.collector.filters import EntryFilter
from bulkhead.collector.store import Store
from bulkhead.collector.storefile import StoredBatch
from bulkhead.errors import Damaged
from bulkhead.report.clock import timestamp
from bulkhead.v1.ingest_pb2 import AgentMessage
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason
from bulkhead.v1.violations_pb2 import StoredEntry


class Page(NamedTuple):
    """Entries after a cursor, and the cursor that they bring the reader to. `complete`: there is no more for now."""

    entries: list[StoredEntry]
    cursor: int
    complete: bool


async def read_page(store: Store, cursor: int, wanted: EntryFilter, batches: int) -> Page:
    """What `batches` batches after `cursor` hold of what is wanted. What retention removed there comes as a gap."""
    expired_until, count = store.expired_after(cursor) if cursor else (0, 0)
    if expired_until:
        gone = expired(expired_until, count)
        wanted.veil(gone.entry)
        return Page([gone], expired_until, complete=False)
    head = store.head
    found = store.recent(cursor, batches)
    if found is None:
        try:
            found = await asyncio.to_thread(store.read, cursor, wanted.wanted(), batches)
        except Damaged:
            found = None
    if found is None:  # a file was set aside: the next page begins with the gap for it
        return Page([], max(cursor, 1), complete=False)
    if len(found) < batches:
        return Page(select(found, cursor, wanted), max(cursor, head, last_cursor(found)), complete=True)
    return Page(select(found, cursor, wanted), last_cursor(found), complete=False)


def last_cursor(batches: Iterable[StoredBatch]) -> int:
    """The cursor of the last entry; 0 where there is none."""
    return max((batch.first_cursor + batch.entries - 1 for batch in batches), default=0)


def select(batches: Iterable[StoredBatch], cursor: int, wanted: EntryFilter) -> list[StoredEntry]:
    """The entries after `cursor` that are wanted."""
    selected = []
    for stored in batches:
        if not wanted.admits_node(stored.node):
            continue
        for position, entry in enumerate(AgentMessage.FromString(stored.message).batch.entries, stored.first_cursor):
            wanted.veil(entry)
            if position > cursor and wanted.admits(entry):
                selected.append(identify(entry, stored, position))
    return selected


def identify(entry: Entry, stored: StoredBatch, cursor: int) -> StoredEntry:
    """The entry with its place and identity, and the node that it really came from."""
    if entry.HasField("violation"):
        entry.violation.node = stored.node
    else:
        entry.gap.node = stored.node
    return StoredEntry(cursor=cursor, id=f"{stored.node}/{stored.boot_id}/{entry.sequence}", entry=entry)


def expired(cursor: int, count: int) -> StoredEntry:
    """The gap that stands for what retention removed before this reader came for it."""
    now = timestamp(time.time_ns())
    gap = Gap(
        count=count,
        reason=GapReason.GAP_REASON_EXPIRED,
        detail="removed from the collector's store, or lost with a damaged file of it, before this reader came",
        last_time=now,
    )
    return StoredEntry(cursor=cursor, id=f"collector/expired/{cursor}", entry=Entry(gap=gap))
