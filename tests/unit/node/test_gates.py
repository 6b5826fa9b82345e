"""What a container that was not started waits at."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkhead.node import gates as module
from bulkhead.node.gates import open_gates


@pytest.fixture
def waiting(tmp_path: Path) -> Path:
    """A pipe that this process has open, as runc's first process has."""
    path = tmp_path / "exec.fifo"
    os.mkfifo(path)
    return path


@contextmanager
def process(*opened: Path) -> Iterator[int]:
    """One that has these open, by number."""
    held = [os.open(path, os.O_PATH) for path in opened]
    with subprocess.Popen(["sleep", "infinity"], pass_fds=held) as started:
        for each in held:
            os.close(each)
        yield started.pid
        started.kill()


def test_the_runtimes_pipe_is_found(waiting: Path) -> None:
    """By the process's descriptors: no path of the container leads there."""
    with process(waiting) as pid, open_gates(pid, set()) as gates:
        (gate,) = gates
        assert os.path.samestat(os.fstat(gate), waiting.stat())
    with process() as pid, open_gates(pid, set()) as gates:
        assert gates == ()


def test_a_pipe_in_the_containers_own_file_system_is_its_own(waiting: Path, tmp_path: Path) -> None:
    """Nor is a file of that name a pipe."""
    device = waiting.stat().st_dev
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/exec.fifo").write_text("")
    with process(waiting, tmp_path / "sub/exec.fifo") as pid:
        with open_gates(pid, {(os.major(device), os.minor(device))}) as gates:
            assert gates == ()
        with open_gates(pid, set()) as gates:
            assert len(gates) == 1


def test_so_many_descriptors_are_looked_at_and_no_more(waiting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started can have a million, and each that is opened is one of the agent's."""
    with process(*[waiting] * 8) as pid:
        monkeypatch.setattr(module, "MAX_DESCRIPTORS", 5)  # of which 0, 1 and 2 are no pipes of that name
        with open_gates(pid, set()) as found:
            assert 0 < len(found) <= 5


def test_a_process_that_is_gone_waits_at_nothing() -> None:
    """It ended while it was looked at."""
    with open_gates(2**22 + 1, set()) as gates:
        assert gates == ()
