"""Whether processes live, asked of the kernel for all of them at once: one poll of a descriptor each (pidfd_open(2)).

A thousand looks into /proc take fifty milliseconds, at each look at a node. A process that cannot be watched, because
the kernel or a filter of system calls refuses, or because too many descriptors would be gone, is looked up there.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from bulkhead.node.descriptors import may_be_open

ENDED = b"ZX"  # states of a process that has, field 3 of stat
STAT_BYTES = 4_096  # more than stat ever has


@dataclass(frozen=True)
class Process:
    """A process, at one moment. `started` is in clock ticks since boot; pids come again, with another one."""

    pid: int
    started: int


class Lives:
    """The processes that are held."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._watched: dict[Process, int] = {}
        self._unwatched: set[Process] = set()

    def hold(self, processes: Iterable[Process]) -> None:
        """These are held from now on, and no others."""
        wanted = set(processes)
        for gone in self._watched.keys() - wanted:
            self._poll.unregister(self._watched[gone])
            os.close(self._watched.pop(gone))
        self._unwatched &= wanted
        for process in wanted - self._watched.keys() - self._unwatched:
            self._watch(process)

    def ended(self) -> set[Process]:
        """Those that have ended."""
        readable = {descriptor for descriptor, _ in self._poll.poll(0)}
        ended = {process for process, descriptor in self._watched.items() if descriptor in readable}
        return ended | {process for process in self._unwatched if not lives(process)}

    def close(self) -> None:
        """Hold none."""
        self.hold(())

    def _watch(self, process: Process) -> None:
        if len(self._watched) < _room():
            with suppress(OSError):
                descriptor = os.pidfd_open(process.pid)
                self._poll.register(descriptor, select.POLLIN)
                self._watched[process] = descriptor
        if process not in self._watched or started(process.pid) != process.started:  # another one has its number now
            self._unwatched.add(process)


def started(pid: int) -> int | None:
    """Field 22 of stat (proc_pid_stat(5)); None where the process is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def lives(process: Process) -> bool:
    """Whether it is the same and has not ended."""
    fields = _stat(process.pid)
    return bool(fields) and int(fields[19]) == process.started and fields[0] not in ENDED


def _stat(pid: int) -> list[bytes]:
    """The fields of stat behind the name, which may hold anything, from field 3 on; none where the process is gone."""
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(descriptor, STAT_BYTES).rpartition(b")")[2].split()
    except OSError:
        return []
    finally:
        os.close(descriptor)


def _room() -> int:
    """A quarter of the descriptors that this process may have."""
    return may_be_open() // 4
