"""The cgroup hierarchy: find it, make and remove cgroups in it, name them by id, and notice which come and go.

Only the unified hierarchy (cgroup v2) is used: the kernel programs know a process by its cgroup there. Cgroups that
are made under one with a policy inherit it in the kernel; `Watch` is for those that come up under a pattern of the
user's (`--cgroup GLOB`). Next step: `launch` starts a command in a cgroup, `bulkhead.enforcement` binds policies.
"""

from __future__ import annotations

import ctypes
import glob
import os
import select
import sys
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bulkhead.errors import BulkheadError, NotEnforceable, UsageError
from bulkhead.node.mounts import Mount, parse

USUAL_MOUNT_POINT = b"/sys/fs/cgroup"
HANDLE_BYTES = 8  # of a cgroup's file handle: its id
WATCH_INTERVAL_S = 0.5
REMOVE_TIMEOUT_S = 10.0

_libc = ctypes.CDLL(None, use_errno=True)


class _FileHandle(ctypes.Structure):
    """struct file_handle of open_by_handle_at(2), with room for a cgroup's."""

    _fields_ = [
        ("handle_bytes", ctypes.c_uint),
        ("handle_type", ctypes.c_int),
        ("handle", ctypes.c_ubyte * HANDLE_BYTES),
    ]


@dataclass(frozen=True, order=True)
class Cgroup:
    """A directory of the hierarchy and its id. One that was removed and made again has the path but another id."""

    path: Path
    id: int


@dataclass(frozen=True)
class Change:
    """What differs between two looks."""

    appeared: tuple[Cgroup, ...]
    vanished: tuple[Cgroup, ...]


def mount_point() -> Path:
    """Where this process sees the unified hierarchy. Raises `NotEnforceable` where it is missing or shared with v1."""
    return choose_mount_point(parse(Path("/proc/self/mountinfo").read_bytes()))


def choose_mount_point(mounts: tuple[Mount, ...]) -> Path:
    """As `mount_point`, from a mount table."""
    unified = [mount.mount_point for mount in mounts if mount.fstype == b"cgroup2"]
    legacy = [mount.mount_point for mount in mounts if mount.fstype == b"cgroup"]
    if not unified:
        raise NotEnforceable(
            "cgroup v2 is not mounted; nothing is enforced (boot with systemd.unified_cgroup_hierarchy=1, or: "
            "mount -t cgroup2 cgroup2 /sys/fs/cgroup)"
        )
    if legacy:
        raise NotEnforceable(
            f"cgroup v2 at {os.fsdecode(unified[0])} shares the node with cgroup v1 at {os.fsdecode(legacy[0])} "
            "(hybrid layout); nothing is enforced (boot with systemd.unified_cgroup_hierarchy=1)"
        )
    return Path(os.fsdecode(USUAL_MOUNT_POINT if USUAL_MOUNT_POINT in unified else unified[0]))


def of_process(pid: int) -> Path:
    """Path of the process's cgroup below the mount point, absolute as in `/system.slice/x`; "/" is the root."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_bytes()
    except OSError as error:
        raise NotEnforceable(f"process {pid}: its cgroup cannot be read ({error.strerror})") from error
    for line in text.splitlines():
        if line.startswith(b"0::"):
            return Path(os.fsdecode(line[3:].removesuffix(b" (deleted)")))
    raise NotEnforceable(f"process {pid} is in no cgroup of the unified hierarchy; it is not enforced upon")


def above(pid: int) -> frozenset[int]:
    """The ids of the process's cgroup and of all that hold it; none where it is outside of what this process sees."""
    top, below = mount_point(), of_process(pid).relative_to("/")
    path = top / below
    if ".." in below.parts or not path.is_dir():
        return frozenset()
    return frozenset(cgroup_id(each) for each in (path, *path.parents) if each.is_relative_to(top))


def cgroup_id(path: Path) -> int:
    """The 64-bit id by which the kernel programs know the cgroup at `path`.

    It is the cgroup's file handle; on 64-bit machines the inode number is the same. Raises `NotEnforceable`.
    """
    handle = _FileHandle(handle_bytes=HANDLE_BYTES)
    mount_id = ctypes.c_int()
    failed = _libc.name_to_handle_at(
        -100, ctypes.c_char_p(os.fsencode(path)), ctypes.byref(handle), ctypes.byref(mount_id), 0
    )
    if failed:
        reason = os.strerror(ctypes.get_errno())
        raise NotEnforceable(f"cgroup {path}: its id cannot be read ({reason}); no policy is bound to it")
    return int.from_bytes(bytes(handle.handle), sys.byteorder)


def create(path: Path) -> Cgroup:
    """Make a cgroup and those above it that are missing. One that is there already is left as it is and returned."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotEnforceable(f"cgroup {path} cannot be made ({error.strerror}); nothing was started in it") from error
    return Cgroup(path, cgroup_id(path))


def remove(path: Path, timeout_s: float = REMOVE_TIMEOUT_S) -> None:
    """Kill what is left in the cgroup and below it, wait until it is gone, and remove it, children first.

    A cgroup that is gone already is fine. Raises `BulkheadError` where processes outlive the kill (they wait in the
    kernel, for a device or a file server) or the kernel keeps the cgroup for another reason; before 5.14 there is no
    cgroup.kill, and nothing is changed.
    """
    try:
        if not path.exists():
            return
        (path / "cgroup.kill").write_bytes(b"1")
        _wait_until_empty(path, timeout_s)
        for each in reversed(list(walk(path))):
            with suppress(FileNotFoundError):
                each.rmdir()
    except OSError as error:
        raise BulkheadError(f"cgroup {path} cannot be removed ({error}); it and the policy bound to it stay") from error


def _wait_until_empty(path: Path, timeout_s: float) -> None:
    """Wait for `populated 0`; the kernel raises POLLPRI on cgroup.events when that changes."""
    deadline_s = time.monotonic() + timeout_s
    with open(path / "cgroup.events", "rb", buffering=0) as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while b"populated 0" not in _read_from_start(events.fileno()):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise BulkheadError(
                    f"cgroup {path}: processes are left {timeout_s:g} s after they were killed; it and the policy "
                    "bound to it stay"
                )
            poll.poll(left_s * 1000)


def _read_from_start(fd: int) -> bytes:
    return os.pread(fd, 4096, 0)


def walk(path: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """The cgroup and all below it, parents before children, but for some and what is below those.

    What vanishes meanwhile is left out.
    """
    pending = [path]
    while pending:
        current = pending.pop()
        yield current
        try:
            with os.scandir(current) as entries:
                below = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            continue
        pending.extend(each for each in below if each not in without)


def expand(pattern: str) -> tuple[Cgroup, ...]:
    """The cgroups that match a shell pattern (`/sys/fs/cgroup/demo/*`; `**` spans levels), sorted by path.

    Raises `UsageError` where the pattern is not absolute.
    """
    if not pattern.startswith("/"):
        raise UsageError(f"cgroup pattern {pattern!r} is not absolute (write /sys/fs/cgroup/…); no policy is bound")
    found = set()
    for match in glob.iglob(pattern, recursive=True):
        path = Path(match)
        if path.is_symlink() or not path.is_dir():
            continue
        try:
            found.add(Cgroup(path, cgroup_id(path)))
        except NotEnforceable:  # it vanished between the two looks
            if path.exists():
                raise
    return tuple(sorted(found))


class Watch:
    """Which cgroups appear and vanish under a pattern, by looking again.

    Polling, because inotify reports only what happens in directories that are already watched: a whole subtree that
    comes up at once would have to be looked through anyway.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._known: frozenset[Cgroup] = frozenset()

    def look(self) -> Change:
        """What changed since the last look; the first look finds everything to have appeared."""
        present = frozenset(expand(self._pattern))
        change = Change(tuple(sorted(present - self._known)), tuple(sorted(self._known - present)))
        self._known = present
        return change

    def changes(self, stop: threading.Event, interval_s: float = WATCH_INTERVAL_S) -> Iterator[Change]:
        """Every look that found a change, until `stop` is set."""
        while not stop.is_set():
            change = self.look()
            if change.appeared or change.vanished:
                yield change
            stop.wait(interval_s)
