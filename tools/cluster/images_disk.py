"""Images on a disk, unpacked by a containerd that runs natively.

Why here: unpacking an image of 670 MB takes nine seconds on this machine and most of five minutes in an emulated
one. The disk is kept in the cache under a name made of the images' digests and never written to again: the node gets
a copy-on-write view of it. Next step: `node` gives it to the virtual machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster import BIN, CLUSTER, HERE, BenchError, archive
from tools.cluster.progress import say

DISKS = CLUSTER / "disks"
SIZE_BYTES = 16 << 30  # sparse: of images and of what containers write, only what there is takes space
FILL = HERE / "fill_disk.sh"
TOOLS = ("mkfs.ext4", "unshare", "setpriv", "mount")


def prepare(archives: Sequence[Path]) -> Path:
    """The disk with the images of these archives, made where the cache has none of these. Raises `BenchError`."""
    disk = place(archives)
    DISKS.mkdir(parents=True, exist_ok=True)
    with (DISKS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not disk.exists():
            _make(disk, archives)
    return disk


def place(archives: Sequence[Path]) -> Path:
    """Where the disk with the images of these archives is, or will be. Raises `BenchError`."""
    return DISKS / f"{key([archive.manifests(path) for path in archives])}.ext4"


def key(manifests: Sequence[bytes]) -> str:
    """One word for the images whose manifests these are, in whatever order, and the way the disk is made."""
    parts = sorted(hashlib.sha256(manifest).digest() for manifest in manifests)
    return hashlib.sha256(b"".join([FILL.read_bytes(), *parts])).hexdigest()[:24]


def _make(disk: Path, archives: Sequence[Path]) -> None:
    _check_tools()
    started = time.monotonic()
    say(f"unpacking {len(archives)} image archives for the node")
    with tempfile.TemporaryDirectory(prefix=".disk.", dir=DISKS) as name:
        work = Path(name)
        with (work / "disk").open("wb") as empty:
            empty.truncate(SIZE_BYTES)
        _fill(work, archives)
        for old in DISKS.glob("*.ext4"):  # of other digests; a machine that runs from one keeps it open
            old.unlink()
        (work / "disk").rename(disk)
    say(f"the node's disk is ready after {time.monotonic() - started:.0f} s")


def _fill(work: Path, archives: Sequence[Path]) -> None:
    """Run the script in name spaces of its own: its mounts and its containerd are gone when it is, however it ends."""
    apart = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    command = [*apart, "bash", str(FILL), str(BIN), str(work), *(str(path.resolve()) for path in archives)]
    result = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode:
        print(result.stdout, file=sys.stderr, flush=True)
        raise BenchError("the images could not be put on a disk; the messages are above, and no cluster is started")


def _check_tools() -> None:
    if os.geteuid() != 0:
        raise BenchError("only root can put images on a disk (it is mounted for that); no cluster is started")
    for tool in TOOLS:
        if shutil.which(tool, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is None:
            raise BenchError(f"{tool} is needed to put images on a disk and is not installed; no cluster is started")
