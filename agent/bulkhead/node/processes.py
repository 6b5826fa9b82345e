"""Which process stands for a container: whose mounts, root and links are taken for the container's.

The first of its own process namespace, which the runtime started and nobody inside can be instead of: a process that
makes a namespace of its own is the first of one that is nested deeper. Where containers share a namespace, or have the
machine's, it is the oldest of the container's processes. Source: proc_pid_status(5), proc_pid_stat(5). Next step:
`enforcement.roots` looks at it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bulkhead.node.cgroups import Cgroup, walk

FIRST = 1
LISTED = 100  # containers a look whose processes are listed: where there are more, each has its turn
ENDED = b"ZX"  # states of a process that has, field 3 of stat
STAT_BYTES = 4_096  # more than stat ever has
NESTING = b"NSpid:"


@dataclass(frozen=True)
class Process:
    """A process, at one moment. `started` is in clock ticks since boot; pids come again, with another one."""

    pid: int
    started: int


class Representatives:
    """Found once a container, and remembered while the process lives in it.

    That it lives is asked at each look. Whether it is still in the container is asked of some containers a look, for
    only the node's root could change that, and to list the processes of a thousand would take longer than all else.
    """

    def __init__(self) -> None:
        self._known: dict[int, Process] = {}
        self._turn = 0

    def of(self, containers: Iterable[Cgroup]) -> dict[int, int]:
        """The pid for each container that has a process, by cgroup id. What is not asked for any more is forgotten."""
        found: dict[int, Process] = {}
        asked = list(containers)
        due = self._due([cgroup.id for cgroup in asked])
        for cgroup in asked:
            process = self._known.get(cgroup.id)
            if process is None or cgroup.id in due or not _lives(process):
                process = _confirmed(process, list(_processes(cgroup.path)))
            if process:
                found[cgroup.id] = process
        self._known = found
        return {identifier: process.pid for identifier, process in found.items()}

    def _due(self, asked: list[int]) -> set[int]:
        """Whose turn it is."""
        begin = self._turn if self._turn < len(asked) else 0
        self._turn = begin + LISTED
        return set(islice(asked, begin, self._turn))


def _confirmed(process: Process | None, present: list[int]) -> Process | None:
    """The same process, where it is among those that are in the container, or another one."""
    return process if process and process.pid in present and _lives(process) else representative(present)


def representative(pids: Iterable[int]) -> Process | None:
    """The process for a container that these are in; None where all have ended."""
    firsts: list[tuple[int, int, int]] = []
    others: list[tuple[int, int]] = []
    for pid in pids:
        started, nesting = _started(pid), _nesting(pid)
        if started is None or not nesting:  # it has ended
            continue
        others.append((started, pid))
        if nesting[-1] == FIRST:
            firsts.append((len(nesting), started, pid))
    if firsts:
        _, started, pid = min(firsts)
        return Process(pid, started)
    return Process(*reversed(min(others))) if others else None


def _processes(path: Path) -> Iterator[int]:
    for each in walk(path):
        try:
            text = (each / "cgroup.procs").read_text()
        except OSError:  # it was removed, or is threaded
            continue
        yield from (int(word) for word in text.split() if word != "0")  # 0: of a namespace that is not seen from here


def _started(pid: int) -> int | None:
    """Field 22 of stat; None where the process is gone."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def _lives(process: Process) -> bool:
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


def _nesting(pid: int) -> tuple[int, ...]:
    """The process's ids from the namespace seen here to its own; empty where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:
        return ()
    return next((tuple(map(int, line.split()[1:])) for line in lines if line.startswith(NESTING)), ())
