"""What a container that was made, but not started, waits at: a pipe of the runtime's, outside of its mounts.

runc's first process in a container has the container's root, mounts and cgroup, and opens the pipe `exec.fifo` for
writing when it is ready; the open returns when the container is started. No path of the container leads to that pipe,
so a policy that is put into force in between would judge it strictly, and the container would never start. Source:
github.com/opencontainers/runc, libcontainer/standard_init_linux.go. Next step: `enforcement.enforcer` excepts it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

NAME = "exec.fifo"
MAX_DESCRIPTORS = 1_024  # runc's first process has a dozen; one that was started may have a million


@contextmanager
def open_gates(pid: int, mounted: set[tuple[int, int]]) -> Iterator[tuple[int, ...]]:
    """O_PATH descriptors of the pipes that process `pid` waits at; none where it has been started, or is gone.

    A pipe in one of the file systems `mounted` (major, minor) is the container's own, whatever it is called.
    """
    opened = tuple(_opened(pid, mounted))
    try:
        yield opened
    finally:
        for each in opened:
            os.close(each)


def _opened(pid: int, mounted: set[tuple[int, int]]) -> Iterator[int]:
    folder = Path(f"/proc/{pid}/fd")
    try:
        with os.scandir(folder) as entries:
            links = [Path(entry.path) for entry in islice(entries, MAX_DESCRIPTORS)]
    except OSError:
        return
    for link in links:
        descriptor = _open_named(link)
        if descriptor is None:
            continue
        status = os.fstat(descriptor)
        device = (os.major(status.st_dev), os.minor(status.st_dev))
        if stat.S_ISFIFO(status.st_mode) and device not in mounted:
            yield descriptor
        else:
            os.close(descriptor)


def _open_named(link: Path) -> int | None:
    try:
        if Path(os.readlink(link)).name == NAME:
            return os.open(link, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it was closed meanwhile, or the process is gone
        pass
    return None
