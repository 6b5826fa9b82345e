"""The programs of the demo: collector, agent, subscriber; started, watched, ended by id."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO


class Program:
    """A running `bulkhead` command. Its lines are kept, and passed on with `prefix` where there is one."""

    def __init__(self, words: list[str], log: Path, prefix: str = "") -> None:
        self._prefix = prefix
        self._log = log
        self._lines: queue.Queue[str] = queue.Queue()
        command = [sys.executable, "-u", "-m", "bulkhead", *words]
        with log.open("ab") as errors:
            self.running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert self.running.stdout
        threading.Thread(target=self._read, args=(self.running.stdout,), daemon=True).start()

    def line(self, timeout_s: float) -> str:
        """The next line it prints; empty where none comes in time."""
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return ""

    def wait_for_log(self, event: str, timeout_s: float) -> None:
        """Until its log says `event`, once more than before. Raises RuntimeError with the log where it does not."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self.running.poll() is None:
            if event in self._log.read_text():
                return
            time.sleep(0.1)
        raise RuntimeError(f"{event} was not logged in {timeout_s} s:\n{self.log()}")

    def log(self) -> str:
        """The end of what it said on stderr."""
        return self._log.read_text()[-2000:]

    def kill(self) -> None:
        """SIGKILL: it has no chance to clean up."""
        self.running.kill()
        self.running.wait()

    def end(self) -> None:
        """SIGTERM, and SIGKILL where that does not help."""
        self.running.terminate()
        try:
            self.running.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            if self._prefix:
                print(self._prefix + line.rstrip("\n"), flush=True)
            self._lines.put(line)
