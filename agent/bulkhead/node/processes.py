"""Which process stands for a container: whose mounts, root and links are taken for the container's.

The first of its own process namespace, which the runtime started and nobody inside can be instead of: a process that
makes a namespace of its own is the first of one that is nested deeper. Where containers share a namespace, or have the
machine's, it is the oldest of the container's processes. Source: proc_pid_status(5), proc_pid_stat(5). Next step:
`enforcement.roots` looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkhead.node.cgroups import Cgroup, walk

FIRST = 1
NESTING = b"NSpid:"


@dataclass(frozen=True)
class Process:
    """A process, at one moment. `started` is in clock ticks since boot; pids come again, with another one."""

    pid: int
    started: int


class Representatives:
    """Found once a container, and remembered while the process lives in it."""

    def __init__(self) -> None:
        self._known: dict[int, Process] = {}

    def of(self, containers: Iterable[Cgroup]) -> dict[int, int]:
        """The pid for each container that has a process, by cgroup id. What is not asked for any more is forgotten."""
        found: dict[int, Process] = {}
        for cgroup in containers:
            process = self._known.get(cgroup.id)
            present = list(_processes(cgroup.path))
            if process is None or process.pid not in present or _started(process.pid) != process.started:
                process = representative(present)
            if process:
                found[cgroup.id] = process
        self._known = found
        return {identifier: process.pid for identifier, process in found.items()}


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
    """Field 22 of stat, behind the name, which may hold anything; None where the process is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return None


def _nesting(pid: int) -> tuple[int, ...]:
    """The process's ids from the namespace seen here to its own; empty where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:
        return ()
    return next((tuple(map(int, line.split()[1:])) for line in lines if line.startswith(NESTING)), ())
