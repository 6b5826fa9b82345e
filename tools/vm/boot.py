"""Runs one command in one virtual machine of its own.

Why here: this is the edge where processes, sockets and clocks are. What the machine consists of is in `qemu`, what it
boots from in `initramfs`; the guest's half of the talk is `guest/run.sh`. The command's two output streams come back
over two ports of the machine and are passed on as they arrive, its exit status over a third.
"""

from __future__ import annotations

import compileall
import os
import re
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.vm import CACHE, CHECKOUT, BenchError, bundles, initramfs, programs, qemu
from tools.vm.kernels import Kernel, fetched

TIMED_OUT = 124  # like timeout(1)
RUNS = CACHE / "vm"
PASSED_ON = ("BULKHEAD_UPDATES", "CI", "LANG", "PYTEST_ADDOPTS", "TERM")  # the first: see test_updates.py
BOOTS = 3
PANIC, BEGINS = b"Kernel panic", b"guest: begins"
OURS = (b"bpf_prog_", b"bpf_trampoline_")
BREAKPOINT, PLACE = b"int3: 0000", re.compile(rb"RIP: [0-9a-f]+:(\S+)")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(  # noqa: PLR0913  # what can be chosen about a run
    command: list[str],
    kernel: str,
    *,
    cpus: int = 2,
    memory: str = "4G",
    lsm: str = qemu.DEFAULT_LSM,
    icount: bool = False,
    timeout_s: float = 900.0,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
    results: Path | None = None,
) -> int:
    """The exit status of `command`, run as root in a virtual machine with this checkout as its working directory.

    `stdout` and `stderr` get what the command writes, as it is written; ours when not given. `results` is a folder that
    the guest may write to (BULKHEAD_RESULTS there); everything else that it writes is gone with it. A guest that is not
    done `timeout_s` seconds after its start is ended, its console's log goes to `stderr`, and the status is 124. Raises
    `BenchError` where a part of the bench is missing or the guest ended without a status.
    """
    machine = qemu.Machine(cpus=cpus, memory=memory, lsm=lsm, icount=icount)
    outputs = {"stdout": stdout or sys.stdout.buffer, "stderr": stderr or sys.stderr.buffer}
    found = fetched(kernel)
    bundles.prepare(found, lsm)
    programs.prepare()
    for sources in ("agent", "tests", "tools"):  # Python would do it in the guest otherwise, twenty times slower
        compileall.compile_dir(CHECKOUT / sources, quiet=2)
    RUNS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="", dir=RUNS) as name:
        folder = Path(name)
        shared = (results or folder / "results").resolve()
        shared.mkdir(parents=True, exist_ok=True)
        write_initramfs(folder / "initramfs", command, found, shared)
        for _ in range(BOOTS):
            with _started(machine, found, folder, shared) as ports:
                status = follow(ports, outputs, time.monotonic() + timeout_s)
            if not died_of_emulation(folder / "console"):
                break
            print("vm: the kernel panicked where the emulator fails it; all once more", file=sys.stderr, flush=True)
        return _verdict(status, folder, outputs["stderr"], timeout_s)


def died_of_emulation(console: Path) -> bool:
    """Whether the kernel panicked for the emulator's sake: while it booted, or at a breakpoint in code of its own.

    Linux exchanges instructions in its own code by way of a breakpoint, and the emulator of several processors lets
    another one run into a half of that: in about one boot of a hundred, and now and then later, when programs are
    attached or a static branch is turned. A breakpoint in a program's code may be ours, and is not excused.
    """
    log = console.read_bytes() if console.exists() else b""
    if PANIC not in log:
        return False
    place = PLACE.search(log, log.find(BREAKPOINT)) if BREAKPOINT in log else None
    return BEGINS not in log or bool(place and not place[1].startswith(OURS))


def environment(kernel: str, results: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of the command in the guest. `ours` is that of this process."""
    return {
        "LANG": "C.UTF-8",
        **{name: ours[name] for name in PASSED_ON if name in ours},
        "HOME": "/root",
        "PATH": f"{CHECKOUT}/.venv/bin:{SYSTEM_PATH}",
        "PYTHONPATH": ours.get("PYTHONPATH", str(CHECKOUT / "agent")),
        "BULKHEAD_BUNDLES": str(bundles.BUNDLES),
        "BULKHEAD_GUEST": kernel,
        "BULKHEAD_PROGRAMS": str(programs.PROGRAMS),
        "BULKHEAD_RESULTS": str(results),
    }


def write_initramfs(path: Path, command: list[str], kernel: Kernel, results: Path) -> None:
    """Write what a guest boots from that runs `command` and may write to `results`. Raises `BenchError`."""
    path.write_bytes(initramfs.build(kernel, _guest_files(command, kernel, results)))


def check_tools() -> None:
    """Raise `BenchError` where a program is missing that starts virtual machines."""
    for tool in ("qemu-system-x86_64", "setpriv"):
        if shutil.which(tool) is None:
            raise BenchError(f"{tool} is needed to run a virtual machine and is not installed")


def _guest_files(command: list[str], kernel: Kernel, results: Path) -> dict[str, bytes]:
    settings = {"CHECKOUT": CHECKOUT, "MODULES": kernel.folder / "lib/modules", "RESULTS": results}
    words = [f"{name}={value}" for name, value in environment(kernel.name, results, os.environ).items()]
    return {
        "settings": "".join(f"{name}={shlex.quote(str(value))}\n" for name, value in settings.items()).encode(),
        "command": f"exec {shlex.join(['/usr/bin/env', '-i', *words, *command])}\n".encode(),
    }


@contextmanager
def _started(machine: qemu.Machine, kernel: Kernel, folder: Path, results: Path) -> Iterator[dict[str, socket.socket]]:
    """A running machine, given as our ends of its ports. It is ended, whatever it does, when the context is left."""
    check_tools()
    pairs = {name: socket.socketpair() for name in qemu.PORTS}
    theirs = {name: pair[1] for name, pair in pairs.items()}
    arguments = qemu.qemu_command(
        machine,
        image=kernel.image,
        initramfs=folder / "initramfs",
        console=folder / "console",
        ports={name: end.fileno() for name, end in theirs.items()},
        folders={"machine": (Path("/"), True), "results": (results, False)},
    )
    with (folder / "messages").open("wb") as messages:
        guest = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *arguments],  # it never outlives us
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            pass_fds=[end.fileno() for end in theirs.values()],
            start_new_session=True,  # the terminal's Ctrl-C is ours to handle
        )
    try:
        for end in theirs.values():
            end.close()
        yield {name: pair[0] for name, pair in pairs.items()}
    finally:
        guest.kill()
        guest.wait()
        for ours, _ in pairs.values():
            ours.close()


def follow(ports: Mapping[str, socket.socket], outputs: Mapping[str, IO[bytes]], deadline: float) -> bytes | None:
    """Pass on what comes in from the guest until its status is there.

    Returns the status as text, empty where the guest hung up without one, None where the monotonic clock reached
    `deadline`.
    """
    status = b""
    with selectors.DefaultSelector() as selector:
        for name, port in ports.items():
            selector.register(port, selectors.EVENT_READ, name)
        while selector.get_map():
            complete = status.endswith(b"\n")
            ready = selector.select(0.0 if complete else max(0.0, deadline - time.monotonic()))
            if complete and not ready:
                break  # the guest sends its status last, when the ports have taken all else: nothing is left
            if time.monotonic() >= deadline:
                return None  # also where there is something to read: a guest may never fall silent
            for key, _ in ready:
                data = _received(key.fileobj)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data == "status":
                    status += data
                else:
                    outputs[key.data].write(data)
                    outputs[key.data].flush()
    return status


def _received(port: object) -> bytes:
    assert isinstance(port, socket.socket)
    try:
        return port.recv(1 << 16)
    except ConnectionResetError:  # QEMU was ended with something unread
        return b""


def _verdict(status: bytes | None, folder: Path, stderr: IO[bytes], timeout_s: float) -> int:
    if status is not None and status.strip().isdigit():
        return int(status)
    log = b"".join((folder / name).read_bytes() for name in ("messages", "console") if (folder / name).exists())
    stderr.write(b"vm: the guest's console:\n" + log.replace(b"\r\n", b"\n") + b"\n")
    stderr.flush()
    if status is None:
        stderr.write(f"vm: the guest was ended: it was not done after {timeout_s:g} s\n".encode())
        stderr.flush()
        return TIMED_OUT
    raise BenchError("the guest ended without an exit status; its console is above")
