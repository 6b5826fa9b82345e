"""Which process stands for a container: whose mounts, root and links are taken for the container's.

The first of its own process namespace, which the runtime started and nobody inside can be instead of: a process that
makes a namespace of its own is the first of one that is nested deeper. Where containers share a namespace, or have the
machine's, it is the oldest of the container's processes. Source: proc_pid_status(5), proc_pid_stat(5). Next step:
`enforcement.roots` looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from bulkhead.node.cgroups import Cgroup, walk
from bulkhead.node.lives import Lives, Process, lives, started
from bulkhead.node.turns import Turns

FIRST = 1
LISTED = 100  # containers a turn whose processes are listed
NESTING = b"NSpid:"


class Representatives:
    """Found once a container, and remembered while the process lives in it.

    That it lives is asked at each look. Whether it is still in the container is asked by turns, for only the node's
    root could change that, and to list the processes of a thousand would take longer than all else.
    """

    def __init__(self, turns: Turns | None = None) -> None:
        self._known: dict[int, Process] = {}
        self._lives = Lives()
        self._turns = turns or Turns(LISTED)

    def of(self, containers: Iterable[Cgroup]) -> dict[int, int]:
        """The pid for each container that has a process, by cgroup id. What is not asked for any more is forgotten."""
        found: dict[int, Process] = {}
        asked = list(containers)
        due, ended = self._turns.take([cgroup.id for cgroup in asked]), self._lives.ended()
        for cgroup in asked:
            process = self._known.get(cgroup.id)
            if process is None or cgroup.id in due or process in ended:
                process = _confirmed(process, list(_processes(cgroup.path)))
            if process:
                found[cgroup.id] = process
        self._known = found
        self._lives.hold(found.values())
        return {identifier: process.pid for identifier, process in found.items()}

    def living(self) -> set[int]:
        """The ids of the cgroups of the last look whose process lives."""
        ended = self._lives.ended()
        return {identifier for identifier, process in self._known.items() if process not in ended}


def _confirmed(process: Process | None, present: list[int]) -> Process | None:
    """The same process, where it is among those that are in the container, or another one."""
    return process if process and process.pid in present and lives(process) else representative(present)


def representative(pids: Iterable[int]) -> Process | None:
    """The process for a container that these are in; None where all have ended."""
    firsts: list[tuple[int, int, int]] = []
    others: list[tuple[int, int]] = []
    for pid in pids:
        began, nesting = started(pid), _nesting(pid)
        if began is None or not nesting:  # it has ended
            continue
        others.append((began, pid))
        if nesting[-1] == FIRST:
            firsts.append((len(nesting), began, pid))
    if firsts:
        _, began, pid = min(firsts)
        return Process(pid, began)
    return Process(*reversed(min(others))) if others else None


def _processes(path: Path) -> Iterator[int]:
    for each in walk(path):
        try:
            text = (each / "cgroup.procs").read_text()
        except OSError:  # it was removed, or is threaded
            continue
        yield from (int(word) for word in text.split() if word != "0")  # 0: of a namespace that is not seen from here


def _nesting(pid: int) -> tuple[int, ...]:
    """The process's ids from the namespace seen here to its own; empty where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()
    except OSError:
        return ()
    return next((tuple(map(int, line.split()[1:])) for line in lines if line.startswith(NESTING)), ())
