"""Commands in the node, from any process of this machine, over a port of the virtual machine that is a socket here.

Why here: tests look at what lies in the node's kernel (pinned programs, cgroups), which neither the API server nor a
pod shows. QEMU serves one connection after the other, so whoever connects has the node to himself for one command.
The node's half is guest/commands.sh. Pure but for `run`.
"""

from __future__ import annotations

import base64
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from tools.cluster import BenchError

MARGIN_S = 30.0  # an emulated machine that is busy answers late
BLOCK_BYTES = 1 << 16


@dataclass(frozen=True)
class Answer:
    """What a command in the node came to; `output` is of both streams, 124 as `status` means that it took too long."""

    status: int
    output: str


def run(path: Path, command: str, timeout_s: float) -> Answer:
    """Run a command for bash as root in the node whose port is the socket `path`. Raises `BenchError`."""
    asked = secrets.token_hex(8)
    deadline = time.monotonic() + timeout_s + MARGIN_S
    try:
        with socket.socket(socket.AF_UNIX) as port:
            port.connect(str(path))
            port.sendall(request(asked, command, timeout_s))
            return _answer(port, asked, deadline)
    except TimeoutError as error:
        raise BenchError(
            f"the node did not answer within {timeout_s + MARGIN_S:g} s; `{command}` may still run"
        ) from error
    except OSError as error:
        raise BenchError(f"the node cannot be asked, it is not up: {error}; `{command}` was not run") from error


def request(asked: str, command: str, timeout_s: float) -> bytes:
    """The line that asks for a command."""
    return f"{asked} {timeout_s:g} {base64.b64encode(command.encode()).decode()}\n".encode()


def answer_in(line: bytes, asked: str) -> Answer | None:
    """What a line answers to the request `asked`; None where it answers another one, whose asker has gone."""
    words = line.decode().split()
    if len(words) < 2 or words[0] != asked:
        return None
    output = base64.b64decode(words[2]).decode(errors="replace") if len(words) > 2 else ""
    return Answer(int(words[1]), output)


def _answer(port: socket.socket, asked: str, deadline: float) -> Answer:
    received = b""
    while True:
        port.settimeout(max(0.01, deadline - time.monotonic()))
        data = port.recv(BLOCK_BYTES)
        if not data:
            raise BenchError("the node ended while it ran a command")
        received += data
        *lines, received = received.split(b"\n")
        for line in lines:
            if (answer := answer_in(line, asked)) is not None:
                return answer
