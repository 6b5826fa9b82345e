"""The few things that the spool asks of a file system, in one place, so that tests can make each of them fail.

Every method raises OSError as the system call does; `report.spool` decides what that means.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Disk:
    """Files by path and descriptor. Nothing is buffered here."""

    def create(self, path: Path) -> int:
        """A new file, open for writing; one that is there is emptied."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """All of `data` at the descriptor's position."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Returns when the file's data is durable."""
        os.fdatasync(descriptor)

    def rewind(self, descriptor: int, size: int) -> None:
        """Cuts an open file to `size` bytes and goes on from there."""
        os.ftruncate(descriptor, size)
        os.lseek(descriptor, size, os.SEEK_SET)

    def cut(self, path: Path, size: int) -> None:
        """Cuts a file to `size` bytes."""
        os.truncate(path, size)

    def close(self, descriptor: int) -> None:
        """Gives the descriptor back."""
        os.close(descriptor)

    def read(self, path: Path, offset: int = 0, size: int | None = None) -> bytes:
        """At most `size` bytes from `offset` on."""
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(-1 if size is None else size)

    def replace(self, path: Path, data: bytes) -> None:
        """The file holds `data` or, after a crash, what it held before."""
        fresh = path.with_suffix(".new")
        descriptor = self.create(fresh)
        try:
            self.write(descriptor, data)
            self.sync(descriptor)
        finally:
            self.close(descriptor)
        fresh.rename(path)
        self.sync_directory(path.parent)

    def remove(self, path: Path) -> None:
        """Removes a file that may be gone already."""
        path.unlink(missing_ok=True)

    def sync_directory(self, directory: Path) -> None:
        """Makes names that were added or removed durable."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> int:
        """An exclusive lock that ends with the process. Raises BlockingIOError where another holds it."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
