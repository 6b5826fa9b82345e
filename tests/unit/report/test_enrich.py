"""What /proc adds, and above all what it must not add."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bulkhead import abi
from bulkhead.report.decode import decode
from bulkhead.report.enrich import TICKS_PER_S, enrich, read_status
from bulkhead.v1.violation_pb2 import Violation
from tests.unit.report.samples import NAMES, record


def told(arguments: bytes = b"bash\0-c\0", cut: bool = True) -> Violation:
    """A violation by process 100, child of 1, started at 1 s of boot time."""
    made = record(flags=abi.RECORD_ARGUMENTS_TRUNCATED if cut else 0)
    made.arguments[: len(arguments)] = arguments
    made.arguments_bytes = len(arguments)
    return decode(bytes(made), NAMES, 10**18)


def put(proc: Path, pid: int, comm: str, parent: int, started_s: float, *, cmdline: bytes = b"") -> None:
    """A process in a made-up /proc."""
    directory = proc / str(pid)
    directory.mkdir()
    fields = ["S", str(parent), *("0" for _ in range(17)), str(int(started_s * TICKS_PER_S)), "0", "0"]
    (directory / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n", encoding="ascii")
    (directory / "cmdline").write_bytes(cmdline)


def test_a_living_process_gets_its_arguments_and_ancestors(tmp_path: Path) -> None:
    """The whole command line instead of the cut one, and up to five parents, nearest first."""
    put(tmp_path, 100, "bash", 90, 1, cmdline=b"bash\0-c\0apt-get update\0")
    for pid in range(90, 80, -1):
        put(tmp_path, pid, f"p {pid})", pid - 1, 0.5)
    violation = told()
    enrich(violation, tmp_path)
    assert list(violation.process.arguments) == [b"bash", b"-c", b"apt-get update"]
    assert not violation.process.arguments_truncated
    assert [(parent.pid, parent.comm) for parent in violation.process.parents] == [
        (pid, f"p {pid})".encode()) for pid in range(90, 85, -1)
    ]


def test_a_reused_number_is_not_described(tmp_path: Path) -> None:
    """A process that started later than the kernel said is somebody else."""
    put(tmp_path, 100, "bash", 90, 1.5, cmdline=b"bash\0-c\0evil\0")
    put(tmp_path, 90, "other", 0, 0.5)
    violation = told()
    enrich(violation, tmp_path)
    assert list(violation.process.arguments) == [b"bash", b"-c"]
    assert [parent.pid for parent in violation.process.parents] == [1]


def test_a_reused_parent_ends_the_chain(tmp_path: Path) -> None:
    """Nobody is younger than a child of his."""
    put(tmp_path, 100, "bash", 90, 1)
    put(tmp_path, 90, "sh", 80, 0.5)
    put(tmp_path, 80, "younger", 1, 0.75)
    violation = told()
    enrich(violation, tmp_path)
    assert [parent.comm for parent in violation.process.parents] == [b"sh"]


@pytest.mark.parametrize(
    ("comm", "cmdline", "arguments", "cut"),
    [
        ("python", b"bash\0-c\0x\0", b"bash\0-c\0", True),  # it has executed something else since
        ("bash", b"other\0", b"bash\0-c\0", True),  # it has rewritten its command line
        ("bash", b"bash\0-c\0x\0", b"bash\0-c\0", False),  # the kernel had it all
        ("bash", b"", b"bash\0-c\0", True),
    ],
)
def test_only_the_same_command_line_is_completed(
    tmp_path: Path, comm: str, cmdline: bytes, arguments: bytes, cut: bool
) -> None:
    """What does not continue what the kernel saw is not taken."""
    put(tmp_path, 100, comm, 0, 1, cmdline=cmdline)
    violation = told(arguments, cut)
    enrich(violation, tmp_path)
    assert list(violation.process.arguments) == [b"bash", b"-c"]
    assert violation.process.arguments_truncated == cut


def test_a_very_long_command_line_is_cut_and_says_so(tmp_path: Path) -> None:
    """4 KiB, flagged."""
    put(tmp_path, 100, "bash", 0, 1, cmdline=b"bash\0-c\0" + b"x" * 10_000)
    violation = told()
    enrich(violation, tmp_path)
    assert sum(len(argument) for argument in violation.process.arguments) == 4_096 - 2
    assert violation.process.arguments_truncated


def test_nothing_there_changes_nothing(tmp_path: Path) -> None:
    """A process that has ended, a /proc that makes no sense: the kernel's word stays."""
    for content in (None, b"", b"100 (bash S", b"100 (bash) S 1"):
        if content is not None:
            (tmp_path / "100").mkdir(exist_ok=True)
            (tmp_path / "100" / "stat").write_bytes(content)
        violation = told()
        before = violation.SerializeToString()
        enrich(violation, tmp_path)
        assert violation.SerializeToString() == before


def test_the_real_proc_is_understood() -> None:
    """A child of this process has this process as its parent, and started after it."""
    with subprocess.Popen(["sleep", "60"]) as child:
        status = read_status(Path("/proc"), child.pid)
        own = read_status(Path("/proc"), os.getpid())
        child.kill()
    assert status is not None
    assert own is not None
    assert (status.parent, status.started >= own.started) == (os.getpid(), True)


@pytest.mark.parametrize(
    ("of_policy", "container", "now", "expected"),
    [
        ("/sys/fs/cgroup/system.slice", "", "/system.slice/ssh.service", "/sys/fs/cgroup/system.slice/ssh.service"),
        ("/sys/fs/cgroup/system.slice", "", "/kubepods/pod/main", "/sys/fs/cgroup/system.slice"),  # moved meanwhile
        ("/sys/fs/cgroup", "", "/init.scope", "/sys/fs/cgroup"),
        ("/sys/fs/cgroup/system.slice", "web", "/system.slice/ssh.service", "/sys/fs/cgroup/system.slice"),
    ],
)
def test_the_cgroup_of_a_nodes_own_process(
    tmp_path: Path, of_policy: str, container: str, now: str, expected: str
) -> None:
    """A policy holds for a slice, and people want to know the service. A container's stays the container's."""
    put(tmp_path, 100, "bash", 90, 1)
    (tmp_path / "100/cgroup").write_text(f"0::{now}\n")
    violation = told()
    violation.cgroup, violation.container = of_policy, container
    enrich(violation, tmp_path)
    assert violation.cgroup == expected
