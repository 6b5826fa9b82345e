"""All entries that agents delivered and retention has left: SQLite files by the hour, one cursor over all of them.

A cursor is hour << 32 | number, so it grows from file to file, over restarts, and beyond a file that was lost. What
`commit` returns from is on the disk. Not safe for concurrent commits (`collector.commits` makes them one after the
other); reading may go on meanwhile, in any thread. Next step: `collector.subscribe`, `collector.query`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from bulkhead.collector import storefile
from bulkhead.collector.arrival import Arrival, Source, after
from bulkhead.collector.storefile import Place, StoredBatch, Wanted
from bulkhead.errors import BulkheadError, Damaged, UsageError
from bulkhead.log import get_log
from bulkhead.settings import MEBIBYTE, StoreLimits

log = get_log()

HOUR_S = 3_600
CURSOR_BITS = 32  # of a cursor, within an hour: more entries than any collector takes in one
FILE_NAME = re.compile(r"violations-([0-9]{20})\.db")
TAIL_BYTES = 16 * MEBIBYTE  # newest batches kept in memory: live readers never touch the disk
FILES_PER_LIMIT = 8  # a file is closed early at this part of the limit of bytes, so that retention has a grain
REMOVED_KEPT = 2_000  # removed files remembered: 83 days of hours


class StoreFull(BulkheadError):
    """The disk takes no more. Nothing of the commit was kept."""


class StoreFailed(BulkheadError):
    """The store cannot be written. Nothing of the commit was kept."""


class Store:
    """See the module. Raises UsageError where another collector has the directory."""

    def __init__(
        self, directory: Path, limits: StoreLimits | None = None, wall_s: Callable[[], float] = time.time
    ) -> None:
        self._directory, self._limits, self._wall_s = directory, limits or StoreLimits(), wall_s
        self._lock = Lock()
        self._tail: deque[StoredBatch] = deque()
        self._tail_bytes = 0
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._claim = sqlite3.connect(directory / "lock", timeout=0, isolation_level=None, check_same_thread=False)
            self._claim.execute("BEGIN EXCLUSIVE")
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"the store {directory} is in use or cannot be made: {error}") from error
        self._open()

    # Opening and rolling

    def _open(self) -> None:
        found = sorted(int(match[1]) for path in self._directory.iterdir() if (match := FILE_NAME.fullmatch(path.name)))
        self._places: dict[Source, Place] = {}
        self._removed: list[tuple[int, int]] = []
        self._next_cursor = 1
        self._connection: sqlite3.Connection | None = None
        lost_until = 0
        while found and self._connection is None:
            try:
                self._adopt(found[-1])
            except sqlite3.OperationalError as error:
                raise UsageError(f"the store {self._directory} cannot be opened: {error}") from error
            except sqlite3.Error as error:
                lost_until = max(lost_until, found[-1] + (1 << CURSOR_BITS))
                self._set_aside(found.pop(), error)
        self._files = found
        self._next_cursor = max(self._next_cursor, lost_until)
        self.head = self._next_cursor - 1
        if lost_until:
            self._removed.append((lost_until - 1, 0))
            self._close_file()

    def _adopt(self, first_cursor: int) -> None:
        connection = storefile.connect(self._path(first_cursor))
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != storefile.VERSION:
                raise sqlite3.DatabaseError(f"version {version}")
            self._places = storefile.read_places(connection)
            self._removed = [*connection.execute("SELECT last_cursor, entries FROM removed ORDER BY last_cursor")]
            self._next_cursor = max(first_cursor, storefile.read_extent(connection)[0] + 1)
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection

    def _set_aside(self, first_cursor: int, error: sqlite3.Error) -> None:
        path = self._path(first_cursor)
        log.error("store_file_set_aside", path=str(path), error=str(error))
        path.rename(path.with_suffix(".damaged"))

    def _path(self, first_cursor: int) -> Path:
        return self._directory / f"violations-{first_cursor:020d}.db"

    def _close_file(self) -> None:
        if self._connection is not None:
            self._connection.close()  # moves the log into the file
            self._connection = None

    def _current(self) -> sqlite3.Connection:
        """The file that takes what comes now: the newest, unless its hour is over or it is large enough."""
        hour_cursor = int(self._wall_s()) // HOUR_S << CURSOR_BITS
        if self._connection is not None and self._files and not self._is_done(self._files[-1], hour_cursor):
            return self._connection
        self._close_file()
        self._forget_dead_agents()
        first_cursor = max(self._next_cursor, hour_cursor)
        self._connection = storefile.create(self._path(first_cursor), self._places, self._removed)
        with self._lock:
            self._files = [*self._files, first_cursor]
        self._next_cursor = first_cursor
        return self._connection

    def _is_done(self, first_cursor: int, hour_cursor: int) -> bool:
        enough = self._limits.retain_bytes // FILES_PER_LIMIT
        return first_cursor >> CURSOR_BITS < hour_cursor >> CURSOR_BITS or self._file_bytes(first_cursor) > enough

    def _forget_dead_agents(self) -> None:
        horizon = (self._wall_s() - self._limits.dead_agent_s) * 1e9
        self._places = {source: place for source, place in self._places.items() if place.seen_ns >= horizon}

    # Writing

    def durable(self, source: Source) -> int:
        """The highest sequence of a source that is on the disk here; 0 where there is none."""
        place = self._places.get(source)
        return place.durable_sequence if place else 0

    def durable_of(self, node: str) -> list[int]:
        """The highest durable sequences of a node, one a life of its spool."""
        return [place.durable_sequence for source, place in self._places.items() if source.node == node]

    def commit(self, arrivals: Sequence[Arrival]) -> None:
        """Returns when every entry of the arrivals is on the disk, those that were there before counted in.

        Raises StoreFull or StoreFailed, and then nothing of them was kept.
        """
        with self._writing() as connection:
            rows, places = self._place(arrivals)
            storefile.write_batches(connection, rows)
            storefile.write_places(connection, places)
        self._places |= places
        self._show(rows)

    def probe(self) -> None:
        """Whether the disk takes a commit: one page, the same as before. Raises StoreFull or StoreFailed."""
        with self._writing() as connection:
            connection.execute(f"PRAGMA user_version = {storefile.VERSION}")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the newest file, on the disk when the context ends."""
        try:
            connection = self._current()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            raise self._refusal(error) from error

    def _place(self, arrivals: Sequence[Arrival]) -> tuple[list[tuple[int, Arrival]], dict[Source, Place]]:
        """Cursors for what is new in the arrivals, and how far that brings their sources."""
        rows = []
        places: dict[Source, Place] = {}
        cursor = self._next_cursor
        now_ns = int(self._wall_s() * 1e9)
        for arrival in arrivals:
            known = (
                places[arrival.source].durable_sequence if arrival.source in places else self.durable(arrival.source)
            )
            fresh = after(arrival, known)
            if fresh is None:
                continue
            rows.append((cursor, fresh))
            cursor += fresh.entries
            places[arrival.source] = Place(fresh.last_sequence, now_ns)
        return rows, places

    def _refusal(self, error: sqlite3.Error | OSError) -> BulkheadError:
        log.error("store_commit_failed", path=str(self._directory), error=str(error))
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or "No space" in str(error)
        kind = StoreFull if full else StoreFailed
        return kind(f"the collector's store {self._directory}: {error}; nothing is acknowledged, so agents keep it")

    def _show(self, rows: Sequence[tuple[int, Arrival]]) -> None:
        """Makes committed batches visible to readers, newest in memory."""
        with self._lock:
            for cursor, arrival in rows:
                source = arrival.source
                self._tail.append(
                    StoredBatch(cursor, arrival.entries, source.node, source.boot_id, arrival.last_ns, arrival.message)
                )
                self._tail_bytes += len(arrival.message)
                self._next_cursor = cursor + arrival.entries
            self.head = self._next_cursor - 1
            while self._tail_bytes > TAIL_BYTES and len(self._tail) > 1:
                self._tail_bytes -= len(self._tail.popleft().message)

    # Reading

    def recent(self, cursor: int, limit: int) -> list[StoredBatch] | None:
        """Batches that end after `cursor`, from memory; None where memory does not reach back so far."""
        with self._lock:
            if cursor >= self.head:
                return []
            if not self._tail or self._tail[0].first_cursor > cursor + 1:
                return None
            return [batch for batch in self._tail if batch.first_cursor + batch.entries - 1 > cursor][:limit]

    def read(self, cursor: int, wanted: Wanted, limit: int) -> list[StoredBatch]:
        """At most `limit` batches that end after `cursor` and can hold what is wanted. Empty: there are no more.

        May block on the disk. Raises Damaged where a file cannot be read: it is set aside, and the next call goes on
        behind it.
        """
        found: list[StoredBatch] = []
        for first_cursor, last_cursor in self._extents():
            if last_cursor <= cursor or len(found) >= limit:
                continue
            with self._reading(first_cursor) as connection:
                if connection:
                    found += storefile.read_batches(connection, cursor, wanted, limit - len(found))
        return found

    def count_after(self, cursor: int) -> int:
        """How many entries have cursors above `cursor`. May block on the disk."""
        total = 0
        for first_cursor, last_cursor in self._extents():
            if last_cursor > cursor:
                with self._reading(first_cursor) as connection:
                    total += storefile.count_after(connection, cursor) if connection else 0
        return total

    def expired_after(self, cursor: int) -> tuple[int, int]:
        """The last cursor that retention has removed behind `cursor`, and how many entries went; (0, 0) if none."""
        gone = [each for each in self._removed if each[0] > cursor]
        return (gone[-1][0], sum(entries for _, entries in gone)) if gone else (0, 0)

    def _extents(self) -> list[tuple[int, int]]:
        """First and last possible cursor of each file, oldest first."""
        with self._lock:
            files = self._files
            return [
                (first, (files[i + 1] if i + 1 < len(files) else self.head + 1) - 1) for i, first in enumerate(files)
            ]

    @contextmanager
    def _reading(self, first_cursor: int) -> Iterator[sqlite3.Connection | None]:
        """A connection to a file for as long as it takes; None where retention was faster."""
        path = self._path(first_cursor)
        if not path.exists():
            yield None
            return
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
                yield connection
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.OperationalError) or first_cursor == self._files[-1]:
                raise StoreFailed(f"{path}: {error}; agents go on being served") from error
            self._lose(first_cursor, error)
            raise Damaged(f"{path}: {error}; what other files hold is served") from error

    def _lose(self, first_cursor: int, error: sqlite3.Error) -> None:
        self._set_aside(first_cursor, error)
        with self._lock:
            position = self._files.index(first_cursor)
            self._removed = sorted([*self._removed, (self._files[position + 1] - 1, 0)])
            self._files = [each for each in self._files if each != first_cursor]

    # Retention

    def retain(self) -> None:
        """Removes the oldest files that are too old or too much; the newest stays. Called between commits.

        A file that cannot be removed is tried again the next time: retention never stops commits.
        """
        try:
            self._retain()
        except (sqlite3.Error, OSError) as error:
            log.error("store_retention_failed", path=str(self._directory), error=str(error))

    def _retain(self) -> None:
        horizon = self._wall_s() - self._limits.retain_s
        sizes = {first: self._file_bytes(first) for first in self._files}
        total = sum(sizes.values())
        for first in self._files[:-1]:
            ended_s = ((first >> CURSOR_BITS) + 1) * HOUR_S
            if ended_s > horizon and total <= self._limits.retain_bytes:
                break
            total -= sizes[first]
            self._remove(first)

    def _remove(self, first_cursor: int) -> None:
        path = self._path(first_cursor)
        try:
            with closing(sqlite3.connect(path)) as connection:
                last_cursor, entries = storefile.read_extent(connection)
        except sqlite3.Error:
            last_cursor, entries = first_cursor, 0
        log.info("store_file_expired", path=str(path), entries=entries)
        with self._lock:
            self._files = [each for each in self._files if each != first_cursor]
            self._removed = [*self._removed, (last_cursor, entries)][-REMOVED_KEPT:]
        if self._connection is not None:
            self._connection.execute("INSERT OR REPLACE INTO removed VALUES (?, ?)", (last_cursor, entries))
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)

    def size(self) -> tuple[int, int]:
        """Files, and bytes in all of them."""
        with self._lock:
            files = self._files
        return len(files), sum(self._file_bytes(first) for first in files)

    def _file_bytes(self, first_cursor: int) -> int:
        total = 0
        for suffix in ("", "-wal"):
            try:
                total += os.stat(f"{self._path(first_cursor)}{suffix}").st_size
            except FileNotFoundError:
                continue
        return total

    def close(self) -> None:
        """Gives the directory back."""
        self._close_file()
        self._claim.close()
