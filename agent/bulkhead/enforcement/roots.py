"""How a container sees its files: its mounts, where each is visible, and its symbolic links. The edge to /proc.

Everything here is read below the container's own root. Next step: `enforcement.enforcer` computes from it the states
from which the kernel's walk starts.
"""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkhead.errors import DoesNotFit, NotEnforceable
from bulkhead.node import mounts
from bulkhead.node.anchors import Anchor, open_anchors
from bulkhead.node.descriptors import may_be_open
from bulkhead.node.gates import open_gates
from bulkhead.node.symlinks import Links

# Of one process. Each is opened while it is looked at: whoever may mount could else keep the agent, which needs
# descriptors for all it does, from doing anything. A node with 1,000 containers has some 3,000 of its own.
MAX_MOUNTS = 8_192


@dataclass(frozen=True)
class RootView:
    """A container's view of its files. `anchors` are open, and `links` can be followed, as long as the context of
    `look_at` is.

    `prefixes` says where the root of each file system (dev_t, major << 20 | minor) is mounted, `devices` which there
    are. `has_own_overlay`: the root directory is one that the host's first process does not have, and an overlay.
    `gates` are open descriptors of what the runtime's own process goes on by when the container is started
    (`node.gates`).
    """

    anchors: tuple[Anchor, ...]
    table: tuple[mounts.Mount, ...]
    places: frozenset[mounts.Place]
    prefixes: dict[int, bytes]
    devices: frozenset[int]
    root_device: int
    has_own_overlay: bool
    root: int
    links: Links
    gates: tuple[int, ...] = ()

    def overlays(self) -> set[mounts.Origin]:
        """What is mounted of overlays."""
        return {(mount.device, mount.root) for mount in self.table if mount.fstype == b"overlay"}


@contextmanager
def look_at(pid: int) -> Iterator[RootView]:
    """The view of process `pid`. Raises `NotEnforceable` where it is gone, `DoesNotFit` where it mounts too much."""
    try:
        table = Path(f"/proc/{pid}/mountinfo").read_bytes()
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotEnforceable(
            f"process {pid}: its mounts cannot be read ({error.strerror}); what was enforced goes on"
        ) from error
    try:
        _check_count(table)
        parsed = mounts.parse(table)
        mounted = {mount.device for mount in parsed}
        with open_anchors(pid, mounts.views(parsed)) as found, open_gates(pid, mounted) as gates:
            top = _root_mount(parsed)
            yield RootView(
                anchors=found.opened,
                table=parsed,
                places=mounts.places(parsed),
                prefixes=_prefixes(parsed),
                devices=frozenset(mounts.device_number(mount.device) for mount in parsed),
                root_device=mounts.device_number(top.device) if top else 0,
                has_own_overlay=top is not None and top.fstype == b"overlay" and top.device != _root_device_of_host(),
                root=root,
                links=Links(root),
                gates=gates,
            )
    finally:
        os.close(root)


def allow_descriptors() -> None:
    """Let this process have as many open files as looks need; fewer, where it may not, and then looks take fewer."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_MOUNTS if hard == resource.RLIM_INFINITY else min(2 * MAX_MOUNTS, hard)
    if may_be_open() < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _check_count(table: bytes) -> None:
    """Half of what may be open is for all else."""
    count, limit = table.count(b"\n"), min(MAX_MOUNTS, may_be_open() // 2)
    if count > limit:
        raise DoesNotFit("mounts of one process", count, limit)


def mount_namespace(pid: int) -> str:
    """The name of a process's mount namespace, or empty where the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def _root_mount(parsed: tuple[mounts.Mount, ...]) -> mounts.Mount | None:
    """The mount that is seen at /: the last, where one lies over another."""
    return next((mount for mount in reversed(parsed) if mount.mount_point == b"/"), None)


@functools.cache
def _root_device_of_host() -> tuple[int, int] | None:
    """That of its first process, which stays: its table, which has the mounts of every container, is read once."""
    host = _root_mount(mounts.parse(Path("/proc/1/mountinfo").read_bytes()))
    return host.device if host else None


def _prefixes(parsed: tuple[mounts.Mount, ...]) -> dict[int, bytes]:
    """Mount points of whole file systems; where one is mounted twice, the first."""
    prefixes: dict[int, bytes] = {}
    for mount in parsed:
        if mount.root == b"/":
            prefixes.setdefault(mounts.device_number(mount.device), mount.mount_point.rstrip(b"/"))
    return prefixes
