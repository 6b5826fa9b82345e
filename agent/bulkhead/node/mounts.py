"""A process's mount table, and under which paths each mounted directory is seen. Pure: bytes in, data out.

The kernel programs walk a file's path up to the root of its mount and go on from there with a remembered state. One
directory can be the root of several mounts, and a mount of an ancestor shows it as well: a rule for any of these paths
must hold. So every mounted directory gets one `View` with all of its paths. Next step: `anchors` opens the views, and
the states to start from are computed from `View.paths` (policy/image.py: `Automaton.starts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bulkhead.errors import Damaged

OCTAL_ESCAPE = re.compile(rb"\\([0-7]{3})")
SEPARATOR = b"-"  # ends the optional fields, of which there may be none
Origin = tuple[tuple[int, int], bytes]  # device (major, minor), and directory or file within its file system
DELETED = b"//deleted"  # what the kernel appends to the path of a directory that was removed


@dataclass(frozen=True)
class Mount:
    """One line of /proc/PID/mountinfo, see proc_pid_mountinfo(5). Names are bytes, escapes are resolved.

    `root` is the mounted directory or file within its file system; it does not start with "/" for namespaces
    (`net:[4026531840]`). `mount_point` is as the process sees it: below its own root.
    """

    mount_id: int
    parent_id: int
    device_major: int
    device_minor: int
    root: bytes
    mount_point: bytes
    fstype: bytes

    @property
    def device(self) -> tuple[int, int]:
        """Major and minor number of the file system."""
        return self.device_major, self.device_minor


@dataclass(frozen=True, order=True)
class Place:
    """That a directory or file of a file system is mounted somewhere: what of a mount outlives it."""

    device: tuple[int, int]
    root: bytes
    mount_point: bytes


@dataclass(frozen=True)
class View:
    """A mounted directory or file: `root` within the file system `device`.

    `mount_point` is where to open it, and `mount_ids` are the mounts that show exactly this directory: what is opened
    belongs to one of them, or something else lies over it. Its paths are those of `paths_of`.
    """

    device: tuple[int, int]
    root: bytes
    mount_point: bytes
    mount_ids: frozenset[int]


def parse(table: bytes) -> tuple[Mount, ...]:
    """The content of /proc/PID/mountinfo, in its order. Raises `Damaged` where a line is not of the documented form."""
    return tuple(_parse_line(line) for line in table.split(b"\n") if line)


def _parse_line(line: bytes) -> Mount:
    fields = line.split(b" ")
    try:
        separator = fields.index(SEPARATOR, 6)
        major, minor = fields[2].split(b":")
        return Mount(
            mount_id=int(fields[0]),
            parent_id=int(fields[1]),
            device_major=int(major),
            device_minor=int(minor),
            root=_unescape(fields[3]),
            mount_point=_unescape(fields[4]),
            fstype=_unescape(fields[separator + 1]),
        )
    except (ValueError, IndexError):
        raise Damaged(f"mount table: line {line!r} cannot be read; what is enforced does not change") from None


def _unescape(field: bytes) -> bytes:
    return OCTAL_ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def views(mounts: Iterable[Mount]) -> tuple[View, ...]:
    """One view for every distinct (device, root), in the order in which they first appear.

    Mounts that lie hidden under a later one count like the others: they come back when the later one is unmounted, and
    a process may have a directory in them open.
    """
    table = tuple(mounts)
    by_root: dict[Origin, list[Mount]] = {}
    for mount in table:
        by_root.setdefault((mount.device, mount.root), []).append(mount)
    hidden = _hidden(table)
    found = []
    for (device, root), same in by_root.items():
        reachable = [mount for mount in same if mount.mount_id not in hidden] or same
        ids = frozenset(mount.mount_id for mount in same)
        found.append(View(device, root, reachable[-1].mount_point, ids))
    return tuple(found)


def places(mounts: Iterable[Mount]) -> frozenset[Place]:
    """What is mounted where."""
    return frozenset(Place(mount.device, mount.root, mount.mount_point) for mount in mounts)


def by_origin(mounted: Iterable[Place]) -> dict[Origin, list[bytes]]:
    """The mount points of each (device, root)."""
    found: dict[Origin, list[bytes]] = {}
    for place in mounted:
        found.setdefault((place.device, place.root), []).append(place.mount_point)
    return found


def device_number(device: tuple[int, int]) -> int:
    """The kernel's dev_t of a device (major, minor)."""
    major, minor = device
    return major << 20 | minor


def paths_of(device: tuple[int, int], root: bytes, mounted: Mapping[Origin, list[bytes]]) -> frozenset[bytes]:
    """Every path of a directory or file, `root` within the file system `device`; `mounted` is by origin.

    Those are the mount points of exactly this directory, and the remaining path below the mount point of every mount of
    the same file system whose root is an ancestor. More than can be reached right now (a path that lies under another
    mount counts as well), never less.
    """
    return frozenset(
        join(mount_point, rest)
        for ancestor, rest in _ancestors_or_self(root)
        for mount_point in mounted.get((device, ancestor), ())
    )


def join(directory: bytes, rest: bytes) -> bytes:
    """`rest` (empty, or starting with "/") below `directory`."""
    return directory.rstrip(b"/") + rest or b"/"


def _ancestors_or_self(root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every (ancestor, remaining path), the root itself first.

    A root that is not a path within the file system has no ancestors: a namespace, a directory that was removed, or a
    cgroup outside of the reader's cgroup namespace ("/../..").
    """
    yield root, b""
    if not root.startswith(b"/") or root.endswith(DELETED) or root.startswith(b"/.."):
        return
    end = len(root)
    while end > 0 and root != b"/":
        end = root.rindex(b"/", 0, end)
        yield root[:end] or b"/", root[end:]


def _hidden(mounts: tuple[Mount, ...]) -> frozenset[int]:
    """Ids of the mounts that a path look-up no longer reaches: another mount lies on them or on the way to them."""
    by_id = {mount.mount_id: mount for mount in mounts}
    tops = {(mount.parent_id, mount.mount_point): mount.mount_id for mount in mounts if not _is_outermost(mount, by_id)}
    displaced = {mount.mount_id for mount in mounts if not _is_outermost(mount, by_id) and _is_displaced(mount, tops)}
    return frozenset(
        mount.mount_id
        for mount in mounts
        if (mount.mount_id, mount.mount_point) in tops  # something is mounted on its root
        or not displaced.isdisjoint(_lineage(mount, by_id))
    )


def _is_outermost(mount: Mount, by_id: dict[int, Mount]) -> bool:
    return mount.parent_id == mount.mount_id or mount.parent_id not in by_id


def _is_displaced(mount: Mount, tops: dict[tuple[int, bytes], int]) -> bool:
    """Whether a sibling lies over the mount point of `mount`, or over a directory on the way to it."""
    return any(
        tops.get((mount.parent_id, ancestor), mount.mount_id) != mount.mount_id
        for ancestor, _ in _ancestors_or_self(mount.mount_point)
    )


def _lineage(mount: Mount, by_id: dict[int, Mount]) -> Iterator[int]:
    """The id of `mount`, of its parent, and so on outwards."""
    seen: set[int] = set()
    while mount.mount_id not in seen:
        yield mount.mount_id
        seen.add(mount.mount_id)
        mount = by_id.get(mount.parent_id, mount)
