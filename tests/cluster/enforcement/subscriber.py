"""`bulkhead events --follow` as a person runs it: with a kubeconfig, and nothing else said."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from typing import Any

from tools.cluster.cluster import Cluster

ARRIVES_S = 120.0


class Subscriber:
    """Its lines, as they come."""

    def __init__(self, cluster: Cluster) -> None:
        command = [sys.executable, "-m", "bulkhead", "events", "--follow", "-A", "--since", "1h", "-o", "json"]
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._process = subprocess.Popen(command, env=cluster.environment(), stdout=subprocess.PIPE, text=True)
        self._seen: list[dict[str, Any]] = []
        threading.Thread(target=self._read, daemon=True).start()

    def await_event(self, **wanted: Any) -> dict[str, Any]:
        """The first violation that has these fields, now or soon."""
        deadline = time.monotonic() + ARRIVES_S
        while True:
            for event in self._seen:
                if wanted.items() <= event.items():
                    self._seen.remove(event)
                    return event
            try:
                self._seen.append(json.loads(self._lines.get(timeout=max(0.0, deadline - time.monotonic()))))
            except queue.Empty:
                raise AssertionError(f"no event with {wanted} in {ARRIVES_S:g} s; others: {self._seen}") from None

    def end(self) -> None:
        """Ctrl-C."""
        self._process.terminate()
        self._process.wait(30)

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
