"""What the bench says while one waits: lines on stderr, and a bar where a person looks at it.

Why here: building takes minutes and booting most of one; silence would look like a hang, and a bar in a log is
noise.
"""

from __future__ import annotations

import sys
from typing import TextIO

WIDTH = 30


def say(text: str) -> None:
    """One line about what goes on."""
    print(f"cluster: {text}", file=sys.stderr, flush=True)


def bar(done: int, total: int) -> str:
    """A bar of `WIDTH` characters, full where `done` has reached `total`."""
    filled = WIDTH if done >= total else WIDTH * done // total
    return f"[{'#' * filled}{' ' * (WIDTH - filled)}]"


class Bar:
    """A progress bar on a terminal; on anything else it prints nothing."""

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        self._title, self._total = title, total
        self._stream = stream or sys.stderr
        self._shown = self._stream.isatty()

    def show(self, done: int) -> None:
        """Draw it anew, over itself."""
        if self._shown:
            print(f"\rcluster: {self._title} {bar(done, self._total)}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take it away, so that a line can follow."""
        if self._shown:
            print("\r\033[K", end="", file=self._stream, flush=True)
