"""One SQLite file of the store: batches in the order of their cursors, with what they are found by.

A row is a batch, not an entry: writing costs a hundredth, and reading parses only batches that can hold what is asked
for. Each file also carries the durable sequences of all agents, so that the newest file alone says what was
acknowledged, in the same transaction as the entries. Raises sqlite3.Error; `collector.store` translates.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bulkhead.collector.arrival import ANY, Arrival, Source

VERSION = 1
SCHEMA = """
CREATE TABLE batches (
    first_cursor INTEGER PRIMARY KEY, entries INTEGER NOT NULL, node TEXT NOT NULL, boot_id TEXT NOT NULL,
    first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL, message BLOB NOT NULL
) STRICT;
CREATE TABLE facets (
    kind INTEGER NOT NULL, value TEXT NOT NULL, first_cursor INTEGER NOT NULL, PRIMARY KEY (kind, value, first_cursor)
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
    node TEXT NOT NULL, boot_id TEXT NOT NULL, durable_sequence INTEGER NOT NULL, seen_ns INTEGER NOT NULL,
    PRIMARY KEY (node, boot_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE removed (last_cursor INTEGER PRIMARY KEY, entries INTEGER NOT NULL) STRICT;
"""
PAGE_BYTES = 32_768  # batches are large: few pages each
CHECKPOINT_PAGES = 1_024  # 32 MiB of log before it is moved into the file
BUSY_MS = 5_000


class StoredBatch(NamedTuple):
    """A row: entry number i of the batch has cursor `first_cursor` + i."""

    first_cursor: int
    entries: int
    node: str
    boot_id: str
    last_ns: int
    message: bytes


@dataclass(frozen=True)
class Place:
    """How far a source is: its highest durable sequence, and when it was last heard of (wall nanoseconds)."""

    durable_sequence: int
    seen_ns: int


@dataclass(frozen=True)
class Wanted:
    """Which batches a reader wants: each of `facets` must be there, or a gap that does not know."""

    node: str = ""
    since_ns: int = 0
    facets: tuple[tuple[int, tuple[str, ...]], ...] = ()


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits only what is on the disk. One thread at a time may use it."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    return connection


def create(path: Path, places: Mapping[Source, Place], removed: Iterable[tuple[int, int]]) -> sqlite3.Connection:
    """A new file that knows what the one before it knew."""
    connection = connect(path)
    connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
    connection.execute("BEGIN")
    write_places(connection, places)
    connection.executemany("INSERT INTO removed VALUES (?, ?)", removed)
    connection.execute("COMMIT")
    return connection


def write_batches(connection: sqlite3.Connection, rows: Iterable[tuple[int, Arrival]]) -> None:
    """Adds arrivals at their cursors, within a transaction of the caller's."""
    for first_cursor, arrival in rows:
        source = arrival.source
        connection.execute(
            "INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?)",
            (first_cursor, arrival.entries, source.node, source.boot_id, arrival.first_ns, arrival.last_ns,
             arrival.message),
        )  # fmt: skip
        facets = [(kind, value, first_cursor) for kind, value in arrival.facets]
        connection.executemany("INSERT INTO facets VALUES (?, ?, ?)", facets)


def write_places(connection: sqlite3.Connection, places: Mapping[Source, Place]) -> None:
    """Sets how far these sources are."""
    connection.executemany(
        "INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)",
        [(key.node, key.boot_id, place.durable_sequence, place.seen_ns) for key, place in places.items()],
    )


def read_places(connection: sqlite3.Connection) -> dict[Source, Place]:
    """How far every source is."""
    rows = connection.execute("SELECT node, boot_id, durable_sequence, seen_ns FROM sources")
    return {Source(node, boot_id): Place(sequence, seen_ns) for node, boot_id, sequence, seen_ns in rows}


def read_extent(connection: sqlite3.Connection) -> tuple[int, int]:
    """The last cursor of the file and its number of entries; (0, 0) where it has none."""
    row = connection.execute(
        "SELECT first_cursor + entries - 1, (SELECT SUM(entries) FROM batches) FROM batches"
        " ORDER BY first_cursor DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def read_batches(connection: sqlite3.Connection, cursor: int, wanted: Wanted, limit: int) -> list[StoredBatch]:
    """At most `limit` batches that end after `cursor` and can hold what is wanted, in order."""
    conditions = ["first_cursor >= ?"]
    # The batch that holds the cursor may begin before it.
    values: list[object] = [containing(connection, cursor)]
    if wanted.node:
        conditions.append("node = ?")
        values.append(wanted.node)
    if wanted.since_ns:
        conditions.append("last_ns >= ?")
        values.append(wanted.since_ns)
    for kind, alternatives in wanted.facets:
        marks = ", ".join("?" for _ in (ANY, *alternatives))
        conditions.append(
            f"EXISTS (SELECT 1 FROM facets f WHERE f.kind = ? AND f.value IN ({marks})"
            " AND f.first_cursor = batches.first_cursor)"
        )
        values += [kind, ANY, *alternatives]
    statement = (
        "SELECT first_cursor, entries, node, boot_id, last_ns, message FROM batches"
        f" WHERE {' AND '.join(conditions)} ORDER BY first_cursor LIMIT ?"
    )
    return [StoredBatch(*row) for row in connection.execute(statement, (*values, limit))]


def containing(connection: sqlite3.Connection, cursor: int) -> int:
    """The first cursor of the batch that goes on after `cursor`, or what comes after it."""
    row = connection.execute(
        "SELECT first_cursor, entries FROM batches WHERE first_cursor <= ? ORDER BY first_cursor DESC LIMIT 1",
        (cursor,),
    ).fetchone()
    return row[0] if row and row[0] + row[1] - 1 > cursor else cursor + 1


def count_after(connection: sqlite3.Connection, cursor: int) -> int:
    """How many entries have cursors above `cursor`."""
    first = containing(connection, cursor)
    total = connection.execute("SELECT SUM(entries) FROM batches WHERE first_cursor >= ?", (first,)).fetchone()[0] or 0
    return total - max(0, cursor + 1 - first)
