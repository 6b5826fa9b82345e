"""The talk with a guest, with this process as the guest; and the command line before it."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tools.vm import BenchError, __main__, boot, kernels
from tools.vm.qemu import PORTS

FAR = 3600.0


@pytest.fixture
def pairs() -> Iterator[dict[str, tuple[socket.socket, socket.socket]]]:
    with ExitStack() as stack:
        made = {name: socket.socketpair() for name in PORTS}
        for pair in made.values():
            for end in pair:
                stack.enter_context(end)
        yield made


def follow(pairs: dict[str, tuple[socket.socket, socket.socket]], deadline: float) -> tuple[bytes | None, bytes, bytes]:
    """The status and the two streams that came out."""
    outputs = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
    status = boot.follow({name: ours for name, (ours, _) in pairs.items()}, outputs, deadline)
    return status, outputs["stdout"].getvalue(), outputs["stderr"].getvalue()


def test_streams_stay_apart_and_nothing_is_lost(pairs: dict[str, tuple[socket.socket, socket.socket]]) -> None:
    """All that was written before the status is passed on, more than one read's worth too."""
    long = b"x" * 100_000
    pairs["stdout"][1].sendall(long)
    pairs["stderr"][1].sendall(b"complaint\n")
    pairs["status"][1].sendall(b"7\n")
    assert follow(pairs, time.monotonic() + FAR) == (b"7\n", long, b"complaint\n")


def test_guest_that_hangs_up_has_no_status(pairs: dict[str, tuple[socket.socket, socket.socket]]) -> None:
    """A machine that dies is seen at once, whatever time was left."""
    pairs["stdout"][1].sendall(b"last words\n")
    for _, theirs in pairs.values():
        theirs.close()
    assert follow(pairs, time.monotonic() + FAR) == (b"", b"last words\n", b"")


def test_guest_that_goes_on_is_left_at_the_deadline(pairs: dict[str, tuple[socket.socket, socket.socket]]) -> None:
    """A guest that hangs does not hang us."""
    pairs["stdout"][1].sendall(b"still here\n")
    status, out, _ = follow(pairs, time.monotonic() + 0.05)
    assert (status, out) == (None, b"still here\n")


def test_guest_that_talks_without_end_is_left_too() -> None:
    """Output is no sign of an end: the deadline holds for a guest that never falls silent."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    class Echoing(io.BytesIO):
        def write(self, data: object) -> int:
            theirs.send(b"more\n")
            return 5

    theirs.send(b"more\n")
    with ours, theirs:
        assert boot.follow({"stdout": ours}, {"stdout": Echoing()}, time.monotonic() + 0.05) is None


def test_environment_is_the_checkouts() -> None:
    """The checkout's interpreter comes first, and of the machine's variables only harmless ones go along."""
    found = boot.environment(
        "6.12", Path("/r"), {"CI": "true", "SECRET": "x", "PATH": "/nowhere", "BULKHEAD_UPDATES": "9"}
    )
    assert found["PATH"].startswith(f"{boot.CHECKOUT}/.venv/bin:")
    assert "/nowhere" not in found["PATH"]
    assert found["PYTHONPATH"] == f"{boot.CHECKOUT}/agent"
    assert (found["CI"], found["BULKHEAD_GUEST"], found["BULKHEAD_UPDATES"]) == ("true", "6.12", "9")
    assert "SECRET" not in found
    assert boot.environment("6.12", Path("/r"), {"PYTHONPATH": "own"})["PYTHONPATH"] == "own"


def test_command_is_all_that_follows_the_dashes() -> None:
    """Options of the command are its own, ours included."""
    options, command = __main__.parse(["run", "--kernel", "6.1", "--", "ls", "--kernel", "x", "--", "-l"])
    assert options.kernel == "6.1"
    assert command == ["ls", "--kernel", "x", "--", "-l"]


@pytest.mark.parametrize(
    ("given", "end"),
    [
        ([], ["tests/kernel"]),
        (["-k", "exec"], ["-k", "exec", "tests/kernel"]),
        (["tests/kernel/test_bench.py", "-x"], ["tests/kernel/test_bench.py", "-x"]),
    ],
)
def test_suite_takes_pytests_arguments(given: list[str], end: list[str]) -> None:
    """What is not ours is pytest's; all kernel tests run unless some are named."""
    _, command = __main__.parse(["test", "--kernel", "6.1", *given])
    assert command[-len(end) :] == end
    assert command.count("tests/kernel") == ("tests/kernel" in end)


def test_run_without_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing boots for nothing."""
    with pytest.raises(SystemExit, match="2"):
        __main__.parse(["run", "--kernel", "6.1"])
    assert "after --" in capsys.readouterr().err


def test_unknown_kernel() -> None:
    """The error says which there are."""
    with pytest.raises(BenchError, match=r"'5.4'.*6\.1, 6\.12, newest"):
        kernels.fetched("5.4")


@pytest.mark.parametrize(
    ("console", "again"),
    [
        (b"Oops: int3: 0000\nRIP: 0010:text_poke+0x1/0x2\nKernel panic - not syncing\n", True),
        (b"guest: begins\r\nKernel panic - not syncing\n", False),
        (b"guest: begins\r\nint3: 0000 [#1]\r\nRIP: 0010:__schedule+0x5/0x9\r\nKernel panic\r\n", True),
        (b"guest: begins\r\nint3: 0000 [#1]\r\nRIP: 0010:bpf_lsm_file_open+0x5/0x9\r\nKernel panic\r\n", True),
        (b"guest: begins\r\nint3: 0000 [#1]\r\nRIP: 0010:bpf_prog_1_file_open+0x5/0x9\r\nKernel panic\r\n", False),
        (b"guest: begins\r\nint3: 0000 [#1]\r\nRIP: 0010:__schedule+0x5/0x9\r\n", False),
        (b"guest: begins\r\nRIP: 0010:__schedule+0x5/0x9\r\nKernel panic\r\n", False),
        (b"booting\n", False),
        (None, False),
    ],
)
def test_only_a_panic_of_the_emulators_is_worth_another_boot(
    tmp_path: Path, console: bytes | None, again: bool
) -> None:
    """What our programs do to a kernel must be seen."""
    if console is not None:
        (tmp_path / "console").write_bytes(console)
    assert boot.died_of_emulation(tmp_path / "console") is again


def test_missing_qemu_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without QEMU gets its name and status 1, and nothing is skipped."""
    folder = tmp_path / "6.1"
    folder.mkdir()
    (folder / "release").write_text("6.1.0\n")
    monkeypatch.setattr(kernels, "KERNELS", tmp_path)
    monkeypatch.setattr(boot, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(boot.bundles, "prepare", lambda *_: None)
    monkeypatch.setattr(boot.initramfs, "build", lambda _kernel, _files: b"")
    monkeypatch.setattr(boot.shutil, "which", lambda name: None if name.startswith("qemu") else "/bin/sh")
    with pytest.raises(BenchError, match="qemu-system-x86_64 is needed"):
        boot.run(["true"], "6.1")
