"""The edge of `mounts`: opens each view's mount point as its container sees it, and tells when the table changes.

A descriptor of a mount root is what the kernel's inode storage is addressed by. It is opened below /proc/PID/root, and
the path never leaves that root and follows no symbolic link: the container's processes can rename and link while we
look. What was opened is compared with the mount table, because another mount may have come to lie over it. Next step:
`bulkhead.enforcement` numbers the anchors and updates the maps, and does so again when `MountWatch` reports a change.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bulkhead.errors import NotEnforceable
from bulkhead.node.mounts import Mount, View, parse

OPENAT2 = 437  # the same number on every architecture
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_IN_ROOT = 0x10
READ_BYTES = 1 << 16
MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)  # proc_pid_fdinfo(5)

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    """struct open_how of include/uapi/linux/openat2.h."""

    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


@dataclass(frozen=True)
class Anchor:
    """An open O_PATH descriptor of the directory or file that `view` is about."""

    view: View
    fd: int


@dataclass(frozen=True)
class Unopened:
    """A view that could not be opened, and why: rules for its paths cannot start from it."""

    view: View
    reason: str


@dataclass(frozen=True)
class Anchors:
    """What `open_anchors` yields; every view is in exactly one of the two."""

    opened: tuple[Anchor, ...]
    unopened: tuple[Unopened, ...]


@contextmanager
def open_anchors(pid: int, views: Iterable[View]) -> Iterator[Anchors]:
    """Open every view as process `pid` sees it; the descriptors are closed when the context ends.

    Raises `NotEnforceable` where the process is gone, or the kernel has no openat2 (it came with 5.6).
    """
    opened: list[Anchor] = []
    unopened: list[Unopened] = []
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        raise NotEnforceable(
            f"mounts of process {pid}: its root cannot be opened ({error.strerror}); what is enforced does not change"
        ) from error
    try:
        for view in views:
            result = _open_view(root, view)
            if isinstance(result, Anchor):
                opened.append(result)
            else:
                unopened.append(result)
        yield Anchors(tuple(opened), tuple(unopened))
    finally:
        os.close(root)
        for anchor in opened:
            os.close(anchor.fd)


def _open_view(root: int, view: View) -> Anchor | Unopened:
    try:
        fd = open_in_root(root, view.mount_point)
    except OSError as error:
        return Unopened(view, f"{os.fsdecode(view.mount_point)}: {error.strerror}")
    mount_id = mount_id_of(fd)
    if mount_id in view.mount_ids:
        return Anchor(view, fd)
    os.close(fd)
    return Unopened(view, f"{os.fsdecode(view.mount_point)}: hidden under mount {mount_id}")


def open_in_root(root: int, path: bytes, resolve: int = 0) -> int:
    """An O_PATH descriptor of `path` below the directory `root`, which it cannot leave; symbolic links are refused.

    `resolve` are more of openat2's RESOLVE_* flags.

    Raises OSError, and `NotEnforceable` where the kernel has no openat2: there is no safe substitute.
    """
    how = _OpenHow(
        flags=os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW,
        mode=0,
        resolve=resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    )
    how_bytes = ctypes.c_size_t(ctypes.sizeof(how))
    fd = int(_libc.syscall(OPENAT2, root, ctypes.c_char_p(path), ctypes.byref(how), how_bytes))
    if fd >= 0:
        return fd
    number = ctypes.get_errno()
    if number == errno.ENOSYS:
        raise NotEnforceable(f"mounts: kernel {platform.release()} has no openat2; what is enforced does not change")
    raise OSError(number, os.strerror(number), path)


def mount_id_of(fd: int) -> int:
    """The id of the mount that `fd` was opened in, as in the mount table."""
    about = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = MOUNT_ID.search(os.read(about, READ_BYTES))
    finally:
        os.close(about)
    if found:
        return int(found[1])
    raise NotEnforceable(
        f"mounts: kernel {platform.release()} does not tell a descriptor's mount; what is enforced does not change"
    )


class MountWatch:
    """The mount table of one process, and whether it has changed since the last look.

    The table stays readable when the process exits. `fileno` may be registered with a poll object of the caller's,
    for `select.POLLPRI` only: as a plain file it always counts as readable.
    """

    def __init__(self, pid: int) -> None:
        try:
            self._fd = os.open(f"/proc/{pid}/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NotEnforceable(
                f"mounts of process {pid}: cannot be read ({error.strerror}); what is enforced does not change"
            ) from error
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLPRI)  # POLLERR is always reported

    def __enter__(self) -> MountWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """The descriptor of the table, open until `close`."""
        return self._fd

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)

    def changed(self, timeout_s: float = 0.0) -> bool:
        """Whether a mount came, went or moved since the watch began or this last returned True; waits for it."""
        return bool(self._poll.poll(timeout_s * 1000))

    def table(self) -> tuple[Mount, ...]:
        """The table as it is now. A change made while it is read shows in the next `changed`."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        chunks = []
        while chunk := os.read(self._fd, READ_BYTES):
            chunks.append(chunk)
        return parse(b"".join(chunks))


def watch_mounts(pid: int) -> MountWatch:
    """Watch the mount table of process `pid`. Raises `NotEnforceable` where the process is gone."""
    return MountWatch(pid)
