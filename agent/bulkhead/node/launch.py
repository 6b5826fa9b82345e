"""Start a command in a cgroup so that the policy of the cgroup holds from the command's first instruction.

A forked child moves itself into the cgroup and waits; the parent binds the policy meanwhile; only then the child
executes the command. Should this process be killed, the command is as well: nothing would enforce on it any more. The
command keeps the standard streams, process group, terminal and environment of the caller.
Next step: `bulkhead run` (cli/run.py) puts the policy in at `before_exec` and returns what `Launched.wait` says.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from bulkhead.errors import NotEnforceable, UsageError

NOT_FOUND = 127  # exit statuses as shells use them
NOT_EXECUTABLE = 126
ABANDONED = 125  # the child was not told to go on
SIGNALLED = 128  # plus the number of the signal

FORWARDED = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
    }
)
AWAITED = FORWARDED | {signal.SIGCHLD}
PYTHON_IGNORES = (signal.SIGPIPE, signal.SIGXFSZ)  # the interpreter does; a command expects them not to be
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WAIT_AGAIN_S = 1.0  # in case a thread without our signal mask took the SIGCHLD
JOINED = b"joined"
SET_PARENT_DEATH_SIGNAL = 1  # of prctl(2)
GO = b"g"

_libc = ctypes.CDLL(None, use_errno=True)


class _ChildEnds(NamedTuple):
    """Descriptors of the child's side: cgroup.procs, the pipe to report on, the pipe to wait at."""

    procs: int
    report: int
    go: int


class Launched:
    """A command that was started, or that could not be executed. Wait exactly once, in the thread that launched it."""

    def __init__(self, pid: int, refused: int, mask: set[int]) -> None:
        self.pid = pid
        self._refused = refused
        self._mask = mask

    @property
    def refused(self) -> str:
        """Why the command could not be executed ("Permission denied"), or empty."""
        return os.strerror(self._refused) if self._refused else ""

    def wait(self) -> int:
        """The command's exit status: its own, 128+N for signal N, 127 where it was not found, 126 where it was refused.

        Signals that someone sends to this process meanwhile go to the command. What the terminal sends (control-C) it
        sends to the command as well, so that is not forwarded.
        """
        try:
            while (status := _reap(self.pid)) is None:
                received = signal.sigtimedwait(AWAITED, WAIT_AGAIN_S)
                if received and received.si_signo != signal.SIGCHLD and received.si_code <= 0:  # sent by a process
                    os.kill(self.pid, received.si_signo)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else SIGNALLED - code


def _reap(pid: int) -> int | None:
    """The wait status of the child, or None while it runs."""
    ended, status = os.waitpid(pid, os.WNOHANG)
    return status if ended else None


def launch(argv: Sequence[str], cgroup: Path, before_exec: Callable[[int], None]) -> Launched:
    """Start `argv` in `cgroup` once `before_exec`, called with the pid of the waiting child, has returned.

    `argv[0]` is looked for in PATH where it has no slash. Call it before other threads are started: it forks. From the
    end of `before_exec` until `Launched.wait` returns the signals to forward are blocked. Raises `UsageError` for
    an empty command and `NotEnforceable` where the cgroup cannot be joined; what `before_exec` raises passes
    through. In all these cases the command has not run.
    """
    if not argv or not argv[0]:
        raise UsageError("no command was given to run; nothing was started")
    program = find_program(argv[0], os.environ.get("PATH", DEFAULT_PATH))
    procs = _open_procs(cgroup)
    report, report_write = os.pipe()
    go_read, go = os.pipe()
    ends = _ChildEnds(procs, report_write, go_read)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
    pid = os.fork()
    if pid == 0:
        os.close(go)
        _be_the_command(program, argv, ends, mask)
    for fd in ends:
        os.close(fd)
    try:
        _expect_joined(report, cgroup)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # `before_exec` may be interrupted, and may start processes
        before_exec(pid)
        signal.pthread_sigmask(signal.SIG_BLOCK, AWAITED)
        refused = _let_go(go, report)
    except BaseException:
        os.close(go)  # the child waits for it, and ends
        os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise
    else:
        os.close(go)
    finally:
        os.close(report)
    return Launched(pid, refused, mask)


def find_program(name: str, search_path: str) -> str | int:
    """The file that `name` means, as execvp(3) looks for it, or the error number of why there is none.

    Looked up before the policy holds: the search is ours, not the command's, and must neither be denied nor reported.
    """
    if "/" in name:
        return name
    found = errno.ENOENT
    for directory in search_path.split(":"):
        candidate = os.path.join(directory or ".", name)
        try:
            is_file = stat.S_ISREG(os.stat(candidate).st_mode)
        except OSError:
            continue
        if is_file and os.access(candidate, os.X_OK):
            return candidate
        found = errno.EACCES
    return found


def _open_procs(cgroup: Path) -> int:
    try:
        return os.open(cgroup / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NotEnforceable(f"cgroup {cgroup} cannot be joined ({error.strerror}); nothing was started") from error


def _be_the_command(program: str | int, argv: Sequence[str], ends: _ChildEnds, mask: set[int]) -> NoReturn:
    """The child's side: nothing here may open a file or import, since the policy may hold already."""
    number = errno.EINVAL
    status = ABANDONED
    try:
        for each in FORWARDED:
            if signal.getsignal(each) is not signal.SIG_IGN:  # nohup's wish outlives exec
                signal.signal(each, signal.SIG_DFL)
        for each in PYTHON_IGNORES:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)  # the pipe tells where it was too late
        os.write(ends.procs, b"0")
        os.write(ends.report, JOINED)
        if os.read(ends.go, 1) != GO:
            os._exit(ABANDONED)
        status = NOT_EXECUTABLE
        if isinstance(program, int):
            raise OSError(program, "")
        os.execve(program, list(argv), os.environ)
    except OSError as error:
        number = error.errno or number
        if status == NOT_EXECUTABLE and number == errno.ENOENT:
            status = NOT_FOUND
        os.write(ends.report, number.to_bytes(4, "little"))
    finally:
        os._exit(status)


def _expect_joined(report: int, cgroup: Path) -> None:
    answer = os.read(report, len(JOINED))
    if answer == JOINED:
        return
    reason = os.strerror(int.from_bytes(answer, "little")) if answer else "the child ended"
    raise NotEnforceable(f"cgroup {cgroup} cannot be joined ({reason}); nothing was started")


def _let_go(go: int, report: int) -> int:
    """Let the child execute. 0, or the error number of why it could not; its exit status says the same."""
    try:
        os.write(go, GO)
    except BrokenPipeError:
        return 0  # a signal ended it while it waited; `wait` tells which
    return int.from_bytes(os.read(report, 4), "little")  # empty when exec closes it
