"""Reading what a process decides how long it takes, such as its command line, without waiting for it for ever.

The kernel copies a command line out of the process's own memory (proc_pid_cmdline(5)), which the process can have put
onto a file system that never answers, or where it answers for itself (userfaultfd). Who reads violations must go on:
the thread that waits is left to itself, and as long as it waits nothing is read at all, so that it stays the only one.
"""

from __future__ import annotations

from pathlib import Path
from threading import Thread

READ_S = 0.2  # it takes microseconds, where it does not have to wait


class PatientReader:
    """Reads small files, one at a time."""

    def __init__(self) -> None:
        self._last: _Reading | None = None

    def read(self, path: Path, size: int) -> bytes | None:
        """The first bytes of a file; None where it cannot be read, or not now."""
        if self._last and self._last.is_alive():
            return None
        self._last = _Reading(path, size)
        self._last.start()
        self._last.join(READ_S)
        return self._last.content


class _Reading(Thread):
    def __init__(self, path: Path, size: int) -> None:
        super().__init__(name="reading", daemon=True)
        self._path, self._size = path, size
        self.content: bytes | None = None

    def run(self) -> None:
        try:
            with self._path.open("rb") as file:
                self.content = file.read(self._size)
        except OSError:
            return
