"""A process that is moved out of its container's cgroups keeps the container's policy, and so does what it starts."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkhead.node import cgroups
from tests.kernel.enforcement.box import Bench, Box, policy

DENIED, ALLOWED = 126, 0

DENY_ID = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: ["/usr/bin/id"]}]
""")
DENY_WHOAMI = DENY_ID.replace("/usr/bin/id", "/usr/bin/whoami")
DENY_EGRESS = policy("""
  network:
    egress: {rules: [{name: r, action: Deny, to: [{cidr: 192.0.2.0/24}]}]}
""")
# Started by a thread that is not the first one, an exec ends the first one and takes its place.
EXEC_IN_THREAD = """
import os, threading
thread = threading.Thread(target=os.execv, args=("/bin/sh", ["sh", "-c", "/usr/bin/id; echo $?"]))
thread.start(); thread.join()
"""
CLONE_INTO = """
import ctypes, os, sys
arguments = (ctypes.c_uint64 * 11)(0x200000000, 0, 0, 0, 17, 0, 0, 0, 0, 0, os.open(sys.argv[1], os.O_RDONLY))
child = ctypes.CDLL(None).syscall(435, arguments, ctypes.sizeof(arguments))
if child == 0:
    os.execv("/bin/sh", ["sh", "-c", "cat /proc/self/cgroup; /usr/bin/id >/dev/null; echo $?"])
os.waitpid(child, 0)
"""


class Shell:
    """A shell that is told its commands one at a time."""

    def __init__(self, cgroup: Path) -> None:
        command = ["/bin/bash", "-c", f"echo $$ > {cgroup}/cgroup.procs && exec /bin/bash"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.pid = self._process.pid
        assert self.ask("echo here") == "here"  # in the cgroup by now

    def ask(self, script: str) -> str:
        """The first line that a script writes."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(script + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().rstrip()

    def status(self, command: str) -> int:
        """What a command ends with."""
        return int(self.ask(f"{command} >/dev/null 2>&1; echo $?"))

    def move(self, cgroup: Path) -> None:
        """Moved by the host, as an administrator would."""
        (cgroup / "cgroup.procs").write_text(str(self.pid))

    def end(self) -> None:
        """Wait until it has ended."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


@contextmanager
def shell_in(cgroup: Path) -> Iterator[Shell]:
    """A shell in a cgroup."""
    shell = Shell(cgroup)
    try:
        yield shell
    finally:
        shell.end()


def holds(shell: Shell) -> None:
    """DENY_ID is in force on a shell and on what it starts, and nothing else is."""
    assert shell.status("/usr/bin/id") == DENIED
    assert shell.status("sh -c 'sh -c /usr/bin/id'") == DENIED
    assert shell.status("/usr/bin/uname") == ALLOWED


def test_moved_by_the_host(bench: Bench, elsewhere: Path) -> None:
    """It keeps its policy, its violations its container; who was always elsewhere has none."""
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell, shell_in(elsewhere) as neighbour:
        shell.move(elsewhere)
        assert shell.ask("cat /proc/self/cgroup").endswith(elsewhere.name)
        holds(shell)
        assert neighbour.status("/usr/bin/id") == ALLOWED
        assert {each["cgroup"] for each in box.violations()} == {str(box.cgroup.path)}


def test_joining_another_container(bench: Bench) -> None:
    """It keeps its own policy and gets no other; who belongs there has that."""
    with (
        bench.box(DENY_ID) as box,
        bench.box(DENY_WHOAMI) as other,
        shell_in(box.cgroup.path) as shell,
        shell_in(other.cgroup.path) as neighbour,
    ):
        shell.move(other.cgroup.path)
        holds(shell)
        assert shell.status("/usr/bin/whoami") == ALLOWED
        assert neighbour.status("/usr/bin/whoami") == DENIED


def test_a_program_started_by_another_thread_after_a_move(bench: Bench, elsewhere: Path) -> None:
    """The thread that the note was made on ends with such an exec."""
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell:
        shell.move(elsewhere)
        assert shell.ask(f"python3 -S -c '{EXEC_IN_THREAD}'") == str(DENIED)


def test_a_child_made_in_another_cgroup(bench: Bench, elsewhere: Path) -> None:
    """CLONE_INTO_CGROUP: it was never moved, and has its parent's policy; without one it has none."""
    with bench.box(DENY_ID) as box:
        done = box.run("python3", "-S", "-c", CLONE_INTO, str(elsewhere))
        assert done.out.split() == [f"0::/{elsewhere.name}", str(DENIED)], done
    command = ["python3", "-S", "-c", CLONE_INTO, str(elsewhere)]
    free = subprocess.run(command, capture_output=True, text=True, check=True)
    assert free.stdout.split() == [f"0::/{elsewhere.name}", str(ALLOWED)]


def test_threaded_cgroups(bench: Bench) -> None:
    """A thread on its own in a threaded cgroup below the container's."""
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell:
        threaded = box.cgroup.path / "threaded"
        threaded.mkdir()
        (threaded / "cgroup.type").write_text("threaded")
        (threaded / "cgroup.threads").write_text(str(shell.pid))
        holds(shell)
        assert bench.enforcer._indices.departed(index_of(bench, box)) == 0


def test_a_container_that_is_over_while_somebody_departed_lives(bench: Bench, elsewhere: Path) -> None:
    """Its cgroup goes, and it stays in force for them; once they have ended it can be released."""
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell:
        index = index_of(bench, box)
        shell.move(elsewhere)
        cgroups.remove(box.cgroup.path)
        assert not bench.enforcer.release(box.cgroup.id)
        holds(shell)
        shell.end()
        wait_for_departed(bench, index)
        assert bench.enforcer.release(box.cgroup.id)


def test_a_container_that_loses_its_policy(bench: Bench, elsewhere: Path) -> None:
    """Who departed is free as well, under no policy of another, and under its own when there is one again."""
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell:
        shell.move(elsewhere)
        holds(shell)
        assert bench.enforcer.release(box.cgroup.id)
        with bench.box(DENY_WHOAMI):
            assert shell.status("/usr/bin/id") == ALLOWED
            assert shell.status("/usr/bin/whoami") == ALLOWED
        box.apply(DENY_ID)
        holds(shell)


def test_new_sockets_after_a_move(bench: Bench, elsewhere: Path) -> None:
    """Nobody would judge their packets: none to IP where egress is denied, others as before."""
    udp = "python3 -S -c 'import _socket; _socket.socket(_socket.AF_INET, 2, 0)'"
    unix = udp.replace("AF_INET", "AF_UNIX")
    with bench.box(DENY_EGRESS) as box, shell_in(box.cgroup.path) as shell:
        assert shell.status(udp) == ALLOWED
        shell.move(elsewhere)
        assert shell.status(udp) == 1
        assert shell.status(unix) == ALLOWED
        assert {(each["rule"], each["operation"], each["unresolved"]) for each in box.violations()} == {
            ("r", "Egress", True)
        }
    with bench.box(DENY_ID) as box, shell_in(box.cgroup.path) as shell:
        shell.move(elsewhere)
        assert shell.status(udp) == ALLOWED


def index_of(bench: Bench, box: Box) -> int:
    """The number of a box in the kernel."""
    return bench.enforcer._bound[box.cgroup.id].record.index


def wait_for_departed(bench: Bench, index: int) -> None:
    """Threads are freed a moment after they ended: the kernel does that when nobody can look at them any more."""
    for _ in range(100_000):
        if bench.enforcer._indices.departed(index) == 0:
            return
        os.sched_yield()
    raise AssertionError("threads that departed were never freed")
