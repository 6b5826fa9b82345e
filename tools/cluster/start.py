"""Brings a cluster up and takes it down, for a person (it stays) or for a test suite (it ends with the suite).

Why here: whatever takes long and can fail without a cluster (building, unpacking images, fetching a kernel) is done
first, in the open; then a supervisor is started and its messages are passed on until the node is ready. Next step:
`supervisor`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.cluster import CLUSTER, RUN, BenchError, addresses, archive, binaries, images, images_disk, supervisor
from tools.cluster.cluster import Cluster
from tools.cluster.node import Boot
from tools.cluster.progress import say
from tools.vm import CHECKOUT, boot, kernels

DEFAULT = Boot()
MESSAGES = CLUSTER / "supervisor.log"
IMAGES, DISK = "images", "disk"  # in the run's folder: what a cluster that stays was given
END_S = 30.0
LOOK_S = 0.2


def up(asked: Boot = DEFAULT) -> Cluster:
    """A cluster that stays when we end. Raises `BenchError`, also where one is up already."""
    disk, references = _prepared(asked.kernel)
    _brought_up(asked, disk, tied=False)
    (RUN / IMAGES).write_text("\n".join(references))
    (RUN / DISK).write_text(disk.name)
    return Cluster(references)


@contextmanager
def for_us(asked: Boot = DEFAULT) -> Iterator[Cluster]:
    """A cluster that ends with the context, and with this process however that ends. Raises `BenchError`."""
    disk, references = _prepared(asked.kernel)
    running = _brought_up(asked, disk, tied=True)
    try:
        yield Cluster(references)
        if running.poll() is not None:
            _pass_on_messages()
            raise BenchError("the cluster ended by itself while it was used; what it said is above")
    finally:
        _end(running)


def found() -> Cluster | None:
    """The cluster that is up; None where there is none, or it is not ready yet."""
    number = supervisor.running_id()
    if number is None or not _is_ready(number):
        return None
    return Cluster(tuple((RUN / IMAGES).read_text().split()) if (RUN / IMAGES).exists() else ())


def has_newest_images() -> bool:
    """Whether the cluster that is up was given the images that there are now. Raises `BenchError`."""
    return (RUN / DISK).exists() and (RUN / DISK).read_text() == images_disk.place(images.archives()).name


def down() -> bool:
    """End the cluster that is up; whether there was one. Raises `BenchError` where it does not end."""
    number = supervisor.running_id()
    if number is None:
        with supervisor.only_one():
            addresses.take_away_what_was_left()
        return False
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while supervisor.running_id() == number:
        if time.monotonic() > deadline:
            raise BenchError(f"the cluster (process {number}) was told to end and has not after {END_S:g} s")
        time.sleep(LOOK_S)
    return True


def _prepared(kernel: str) -> tuple[Path, tuple[str, ...]]:
    """The disk with all images, and their references. Whatever is in the way is said before anything is built."""
    if (number := supervisor.running_id()) is not None:
        raise BenchError(
            f"a cluster is up already (process {number}), and it was left as it is; `make cluster-down` ends it"
        )
    supervisor.check_obstacles()
    if os.geteuid() != 0:
        raise BenchError(
            "only root can start a cluster (it gives this machine the node's address); nothing was changed"
        )
    binaries.build()
    kernels.fetched(kernel)
    archives = images.archives()
    return images_disk.prepare(archives), tuple(name for path in archives for name in archive.names(path))


def _brought_up(asked: Boot, disk: Path, *, tied: bool) -> subprocess.Popen[bytes]:
    """The supervisor of a cluster that is ready. A kernel that panics while it boots is booted again."""
    for last in (False,) * (boot.BOOTS - 1) + (True,):
        running = _supervisor(asked, disk, tied=tied)
        try:
            _await_ready(running)
        except BenchError:
            if last or not boot.died_of_emulation(supervisor.FAILED / "node/console.log"):
                raise
            say("the node's kernel panicked while it booted; once more")
        else:
            break
    return running


def _supervisor(asked: Boot, disk: Path, *, tied: bool) -> subprocess.Popen[bytes]:
    """A supervisor that starts; tied to us, it is told to end when we end."""
    tie = ["setpriv", "--pdeathsig", "TERM", "--"] if tied else []
    command = [*tie, sys.executable, "-m", "tools.cluster.supervisor", asked.kernel, asked.lsm, str(disk)]
    with MESSAGES.open("wb") as messages:
        return subprocess.Popen(
            command,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT / "agent"), str(CHECKOUT)])},
        )


def _await_ready(running: subprocess.Popen[bytes]) -> None:
    """Pass on the supervisor's messages until its cluster is ready; where that fails it is ended."""
    try:
        with MESSAGES.open("rb") as messages:
            while True:
                has_ended = running.poll() is not None
                sys.stderr.write(messages.read().decode(errors="replace"))
                sys.stderr.flush()
                if has_ended:
                    raise BenchError("the cluster did not come up; what it said is above")
                if _is_ready(running.pid):
                    return
                time.sleep(LOOK_S)
    except (KeyboardInterrupt, BenchError):
        _end(running)
        raise


def _pass_on_messages() -> None:
    sys.stderr.write(MESSAGES.read_text(errors="replace"))
    sys.stderr.flush()


def _is_ready(number: int) -> bool:
    try:
        return (RUN / supervisor.READY).read_text() == f"{number}\n"
    except FileNotFoundError:
        return False


def _end(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(END_S)
    except subprocess.TimeoutExpired:
        running.kill()  # its children die with it
        running.wait()
