"""`python -m tools.cluster.supervisor KERNEL DISK`: the process that a running cluster hangs on.

Why here: however this process ends, the cluster ends with it. Its parts are its children and die with it, and what
is left if it is killed itself (a route to the loopback interface) is taken over by the next start. It holds a
lock as long as it lives, so there is one at a time; the lock's file has its process id. `start` starts it, for a
person or a test suite.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from tools.cluster import CLUSTER, RUN, BenchError, addresses, control_plane, credentials, dns, node, programs
from tools.cluster.api import Api
from tools.cluster.programs import Program
from tools.cluster.progress import say

LOCK = CLUSTER / ".run.lock"
FAILED = CLUSTER / "failed"  # the folder of the last run that failed
READY = "ready"  # in the run's folder, with the supervisor's process id in it
LOGS = "logs"
NODE_READY_S = 420.0
LOOK_S = 0.5


class _Told(BaseException):
    """We were told to end. No error, and nobody's to catch but ours."""


def main(arguments: list[str]) -> int:
    """Run a cluster with this kernel, lsm= and disk until told to end. Status 1 where it fails to come up or breaks."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _told)
    kernel, lsm, disk = arguments
    try:
        with only_one():
            _run(node.Boot(kernel, lsm), Path(disk))
    except _Told:
        return 0
    except BenchError as error:
        print(f"cluster: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def running_id() -> int | None:
    """The process id of the supervisor that runs; None where none does."""
    if not LOCK.exists():
        return None
    with LOCK.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = lock.read().strip()
            return int(text) if text else None
    return None


@contextmanager
def only_one() -> Iterator[None]:
    """The lock of all supervisors. Raises `BenchError` where another one has it."""
    CLUSTER.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError(f"a cluster is up already (process {running_id()}); nothing was changed") from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def check_obstacles() -> None:
    """Raise `BenchError` where something is in the way of a cluster; nothing is changed."""
    if found := addresses.obstacles():
        raise BenchError(f"no cluster can be started, and nothing was changed: {'; '.join(found)}")


def _run(asked: node.Boot, disk: Path) -> None:
    check_obstacles()
    shutil.rmtree(RUN, ignore_errors=True)
    (RUN / LOGS).mkdir(parents=True)
    try:
        with ExitStack() as ends:
            _hold(ends, asked, disk)
    except BenchError:
        print(programs.tails(RUN), file=sys.stderr, flush=True)
        shutil.rmtree(FAILED, ignore_errors=True)
        RUN.rename(FAILED)  # the next run begins with a new folder
        raise
    finally:
        (RUN / READY).unlink(missing_ok=True)


def _hold(ends: ExitStack, asked: node.Boot, disk: Path) -> None:
    """Start everything, tell that it is ready, and stay until a part of it ends."""
    began = time.monotonic()
    try:
        ends.enter_context(addresses.node_address())
        made = credentials.make(RUN / "credentials")
        machine = node.start(asked, disk, made, RUN / "node", ends)  # first: it takes longest
        parts = [machine, *control_plane.start(made, RUN / LOGS, ends)]
        say(f"the control plane is ready after {time.monotonic() - began:.0f} s")
        parts += dns.start(made, RUN / LOGS, ends)
        _wait_for_node(Api(made), parts, began)
        say(f"the node is ready after {time.monotonic() - began:.0f} s")
        (RUN / READY).write_text(f"{os.getpid()}\n")
        while True:
            _check(parts)
            time.sleep(LOOK_S)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # what is ended from here on is ended to the last


def _wait_for_node(api: Api, parts: list[Program], began: float) -> None:
    """Until the API server calls the node ready and takes pods; what the node says meanwhile is passed on."""
    said = RUN / "node/stdout.log"
    told = 0
    while time.monotonic() < began + NODE_READY_S:
        lines = said.read_text(errors="replace").splitlines() if said.exists() else []
        for line in lines[told:]:
            say(f"{line} ({time.monotonic() - began:.0f} s)")
        told = len(lines)
        if api.is_node_ready() and api.takes_pods():
            return
        _check(parts)
        time.sleep(LOOK_S)
    raise BenchError(f"the node was not ready after {NODE_READY_S:g} s; everything was ended, the logs are in {FAILED}")


def _check(parts: list[Program]) -> None:
    for part in parts:
        if part.has_ended():
            raise BenchError(f"{part.name} ended by itself; everything else was ended, the logs are in {FAILED}")


def _told(_signal: int, _frame: FrameType | None) -> None:
    raise _Told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
