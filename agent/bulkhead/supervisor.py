"""Runs a program's tasks in threads, and ends the program when one of them fails.

The only place that catches everything: a task that died in silence would be a program that looks well and is not. What
is enforced lives in the kernel and goes on.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType

from bulkhead.errors import BulkheadError, InternalError
from bulkhead.log import get_log

log = get_log()


class Supervisor:
    """Start tasks, then `wait` in the main thread until a signal comes or a task fails."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()  # safe in signal handlers
        self._threads: list[threading.Thread] = []

    def start(self, name: str, task: Callable[[], None]) -> None:
        """Run a task that should not end."""
        thread = threading.Thread(target=self._run, args=(name, task), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Until SIGTERM or SIGINT; raises what a task failed with."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            failure = self._ended.get()
        finally:
            for number, action in previous.items():
                signal.signal(number, action)
        if isinstance(failure, BulkheadError):
            raise failure
        if failure is not None:
            raise InternalError(f"a task failed: {failure!r}; what is enforced goes on") from failure

    def join(self, timeout_s: float) -> None:
        """Wait for tasks that were told to stop."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("signal_received", signal=signal.Signals(number).name)
        self._ended.put(None)

    def _run(self, name: str, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception as error:  # noqa: BLE001  # the task supervisor: see above
            log.error("task_failed", task=name, error=repr(error))
            self._ended.put(error)
