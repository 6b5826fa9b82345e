"""What /proc adds to a violation while the acting process still lives: a whole command line, ancestors, a cgroup.

Best effort by nature, so it never fails and never guesses: a process is described only if it started when the kernel
said, and a command line replaces the kernel's only if it continues it. Next step: `report.reporter`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from bulkhead.report.clock import NANOSECONDS, nanoseconds
from bulkhead.report.patient import PatientReader
from bulkhead.v1.violation_pb2 import Parent, Violation

PARENTS = 5  # a shell in a pod is four below the runtime's shim
ARGUMENTS_BYTES = 4_096  # of a command line: more is no longer read by anybody
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

_command_lines = PatientReader()


class Status(NamedTuple):
    """The part of /proc/PID/stat that is used. `started` is in clock ticks since boot."""

    comm: bytes
    parent: int
    started: int


def enrich(violation: Violation, proc: Path = Path("/proc")) -> None:
    """Adds to `violation.process` what can still be read. Leaves it as it is where the process has ended."""
    process = violation.process
    started = started_ticks(violation)
    status = read_status(proc, process.pid)
    if status is not None and status.started == started:
        if status.comm == process.comm:
            complete_arguments(violation, proc)
        if violation.cgroup and not violation.container:
            complete_cgroup(violation, proc)
        parent = status.parent
    else:
        parent = process.parents[0].pid if process.parents else 0
    parents = ancestors(proc, parent, started)
    if parents:
        del process.parents[:]
        process.parents.extend(parents)


def started_ticks(violation: Violation) -> int:
    """When the process started, in clock ticks since boot, as /proc shows it."""
    offset_ns = nanoseconds(violation.time) - violation.boot_time_ns
    return (nanoseconds(violation.process.start_time) - offset_ns) // (NANOSECONDS // TICKS_PER_S)


def complete_arguments(violation: Violation, proc: Path) -> None:
    """Replaces a command line that the kernel cut, if /proc shows how it goes on."""
    process = violation.process
    if process.arguments and not process.arguments_truncated:
        return
    line = _command_lines.read(proc / str(process.pid) / "cmdline", ARGUMENTS_BYTES + 1)
    if not line or not line.startswith(b"\0".join(process.arguments)):
        return
    del process.arguments[:]
    process.arguments.extend(line[:ARGUMENTS_BYTES].removesuffix(b"\0").split(b"\0"))
    process.arguments_truncated = len(line) > ARGUMENTS_BYTES


def complete_cgroup(violation: Violation, proc: Path) -> None:
    """Of a node's own process: the cgroup that it is in, where that is below the one that its policies hold for."""
    try:
        lines = (proc / str(violation.process.pid) / "cgroup").read_text(errors="backslashreplace").splitlines()
    except OSError:
        return
    path = next((line[3:] for line in lines if line.startswith("0::")), "")
    for above in Path(path).parents:
        if above.name and violation.cgroup.endswith(str(above)):
            violation.cgroup += path.removeprefix(str(above))
            return


def ancestors(proc: Path, pid: int, started: int) -> list[Parent]:
    """`pid` and those above it, nearest first. Ends where a number was reused: nobody is younger than a child."""
    found: list[Parent] = []
    while pid and len(found) < PARENTS:
        status = read_status(proc, pid)
        if status is None or status.started > started:
            if not found:
                found.append(Parent(pid=pid))
            break
        found.append(Parent(pid=pid, comm=status.comm))
        pid, started = status.parent, status.started
    return found


def read_status(proc: Path, pid: int) -> Status | None:
    """/proc/PID/stat, or None where there is no such process or it is not what it should be."""
    try:
        line = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name is in brackets and may contain anything, brackets and spaces too.
    opening, closing = line.find(b"("), line.rfind(b")")
    fields = line[closing + 2 :].split()
    if opening < 0 or len(fields) < 20:
        return None
    return Status(line[opening + 1 : closing], int(fields[1]), int(fields[19]))
