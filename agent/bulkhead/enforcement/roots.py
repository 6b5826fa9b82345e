"""How a container sees its files: its mounts, where each is visible, and its symbolic links. The edge to /proc.

Everything here is read below the container's own root. Next step: `enforcement.enforcer` computes from it the states
from which the kernel's walk starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkhead.errors import NotEnforceable
from bulkhead.node import mounts
from bulkhead.node.anchors import Anchor, open_anchors
from bulkhead.node.gates import open_gates
from bulkhead.node.symlinks import Links


@dataclass(frozen=True)
class RootView:
    """A container's view of its files. `anchors` are open, and `links` can be followed, as long as the context of
    `look_at` is.

    `prefixes` says where the root of each file system (dev_t, major << 20 | minor) is mounted. `gates` are open
    descriptors of what the runtime's own process goes on by when the container is started (`node.gates`).
    """

    anchors: tuple[Anchor, ...]
    table: tuple[mounts.Mount, ...]
    places: frozenset[mounts.Place]
    prefixes: dict[int, bytes]
    root: int
    links: Links
    gates: tuple[int, ...] = ()

    def overlays(self) -> set[mounts.Origin]:
        """What is mounted of overlays."""
        return {(mount.device, mount.root) for mount in self.table if mount.fstype == b"overlay"}


@contextmanager
def look_at(pid: int) -> Iterator[RootView]:
    """The view of process `pid`. Raises `NotEnforceable` where it is gone."""
    try:
        table = Path(f"/proc/{pid}/mountinfo").read_bytes()
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NotEnforceable(
            f"process {pid}: its mounts cannot be read ({error.strerror}); what was enforced goes on"
        ) from error
    try:
        parsed = mounts.parse(table)
        mounted = {mount.device for mount in parsed}
        with open_anchors(pid, mounts.views(parsed)) as found, open_gates(pid, mounted) as gates:
            yield RootView(found.opened, parsed, mounts.places(parsed), _prefixes(parsed), root, Links(root), gates)
    finally:
        os.close(root)


def mount_namespace(pid: int) -> str:
    """The name of a process's mount namespace, or empty where the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def _prefixes(parsed: tuple[mounts.Mount, ...]) -> dict[int, bytes]:
    """Mount points of whole file systems; where one is mounted twice, the first."""
    prefixes: dict[int, bytes] = {}
    for mount in parsed:
        if mount.root == b"/":
            major, minor = mount.device
            prefixes.setdefault(major << 20 | minor, mount.mount_point.rstrip(b"/"))
    return prefixes
