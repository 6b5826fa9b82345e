"""bulkhead.node.launch, in a directory that stands in for a cgroup: what is written to cgroup.procs is not acted on."""

from __future__ import annotations

import errno
import os
import signal
import threading
from pathlib import Path

import pytest

from bulkhead.errors import NotEnforceable, UsageError
from bulkhead.node.launch import find_program, launch


@pytest.fixture
def cgroup(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.procs").touch()
    return tmp_path


def nothing(_pid: int) -> None:
    pass


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_exit_status_is_the_commands(cgroup: Path, script: str, status: int) -> None:
    """The status is the command's own, and 128+N where signal N ended it."""
    assert launch(["sh", "-c", script], cgroup, nothing).wait() == status


def test_policy_is_bound_between_joining_and_executing(cgroup: Path, tmp_path: Path) -> None:
    """`before_exec` runs when the child is in the cgroup and before the command has done anything."""
    mark = tmp_path / "mark"
    seen = []

    def before_exec(pid: int) -> None:
        seen.append(((cgroup / "cgroup.procs").read_text(), mark.exists(), Path(f"/proc/{pid}").exists()))

    assert launch(["touch", str(mark)], cgroup, before_exec).wait() == 0
    assert seen == [("0", False, True)]
    assert mark.exists()


def test_missing_command_is_127(cgroup: Path) -> None:
    """What is not found ends with 127, as in a shell, and says so."""
    launched = launch(["no-such-command"], cgroup, nothing)
    assert launched.refused == os.strerror(errno.ENOENT)
    assert launched.wait() == 127


def test_command_in_the_working_directory_is_not_found_by_name(
    cgroup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name without a slash is looked for in PATH only."""
    (tmp_path / "here").write_text("#!/bin/sh\nexit 0\n")
    (tmp_path / "here").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert launch(["here"], cgroup, nothing).wait() == 127
    assert launch(["./here"], cgroup, nothing).wait() == 0


def test_command_that_may_not_be_executed_is_126(cgroup: Path, tmp_path: Path) -> None:
    """A file without execute permission, and a directory, end with 126."""
    (tmp_path / "plain").touch()
    launched = launch([str(tmp_path / "plain")], cgroup, nothing)
    assert launched.refused == os.strerror(errno.EACCES)
    assert launched.wait() == 126
    assert launch([str(tmp_path)], cgroup, nothing).wait() == 126


def test_failure_before_exec_passes_through_and_nothing_runs(cgroup: Path, tmp_path: Path) -> None:
    """When the policy cannot be bound the command never runs, and no child is left."""
    mark = tmp_path / "mark"
    pids = []

    def refuse(pid: int) -> None:
        pids.append(pid)
        raise NotEnforceable("no")

    with pytest.raises(NotEnforceable):
        launch(["touch", str(mark)], cgroup, refuse)
    assert not mark.exists()
    assert not Path(f"/proc/{pids[0]}").exists()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_cgroup_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Without the cgroup nothing is started."""
    with pytest.raises(NotEnforceable, match="nothing was started"):
        launch(["true"], tmp_path / "none", nothing)


def test_cgroup_that_takes_no_process_is_refused(tmp_path: Path) -> None:
    """What the kernel says to the child that wants to join reaches the caller."""
    (tmp_path / "cgroup.procs").symlink_to("/dev/full")
    with pytest.raises(NotEnforceable, match=os.strerror(errno.ENOSPC)):
        launch(["true"], tmp_path, nothing)


def test_no_command_is_a_wrong_use(cgroup: Path) -> None:
    """An empty command line is refused before anything is forked."""
    with pytest.raises(UsageError):
        launch([], cgroup, nothing)


def test_signals_are_forwarded(cgroup: Path, tmp_path: Path) -> None:
    """A signal sent to the waiting process reaches the command, and ends it only as the command wishes."""
    ready = tmp_path / "ready"
    os.mkfifo(ready)
    script = f"trap 'exit 9' USR1; echo > {ready}; while :; do read -r _ < {ready}; done"
    launched = launch(["sh", "-c", script], cgroup, nothing)

    def send() -> None:
        ready.read_text()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)  # other tests leave threads that do not wait

    sender = threading.Thread(target=send)
    sender.start()
    assert launched.wait() == 9
    sender.join()


def test_command_starts_with_usual_signal_dispositions(cgroup: Path, tmp_path: Path) -> None:
    """The command ignores and blocks nothing on our account: a broken pipe ends it as it would under a shell."""
    output = tmp_path / "status"
    script = f"grep -E 'Sig(Blk|Ign)' /proc/self/status > {output}"
    assert launch(["sh", "-c", script], cgroup, nothing).wait() == 0
    usual = (1 << 31) - 1  # signals 1 to 31; what lies above is the C library's or was inherited
    for number in (signal.SIGINT, signal.SIGQUIT):  # a shell's jobs in the background ignore these, and we with them
        usual &= ~(1 << number - 1) if signal.getsignal(number) is signal.SIG_IGN else usual
    assert [int(line.split()[1], 16) & usual for line in output.read_text().splitlines()] == [0, 0]


def test_no_descriptor_of_ours_is_inherited(cgroup: Path, tmp_path: Path) -> None:
    """The command gets the standard streams and nothing else of ours."""
    output = tmp_path / "fds"
    script = f"for fd in 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do readlink /proc/$$/fd/$fd; done > {output}"
    launch(["sh", "-c", script], cgroup, nothing).wait()
    assert [
        name for name in output.read_text().splitlines() if name.startswith(("pipe:", str(cgroup / "cgroup")))
    ] == []


def test_search_follows_path_order(tmp_path: Path) -> None:
    """The first executable in PATH wins; one that is there but not executable is remembered as the reason."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "tool").touch()
    (tmp_path / "b" / "tool").touch(0o755)
    assert find_program("tool", f"{tmp_path}/c:{tmp_path}/a:{tmp_path}/b") == f"{tmp_path}/b/tool"
    assert find_program("tool", f"{tmp_path}/a:{tmp_path}/c") == errno.EACCES
    assert find_program("tool", f"{tmp_path}/c") == errno.ENOENT
