"""Every other way to a file's content: `python alias_acts.py TREE PID DESCRIPTOR`, for TREE/covered/secret.

The process PID has the file open as DESCRIPTOR and gives it to whoever connects to TREE/giver. Prints what came of each
way as JSON: the content, or the name of an error number. Run within a box by `test_aliases`. Each way has a process and
a mount namespace of its own.
"""

from __future__ import annotations

import array
import ctypes
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable

PIVOT_ROOT, OPEN_TREE, MOVE_MOUNT, PIDFD_OPEN, PIDFD_GETFD = 155, 428, 429, 434, 438  # of x86-64
MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 0x1000, 0x2000, 0x4000, 0x40000
MNT_DETACH, CLONE_NEWNS, AT_FDCWD = 2, 0x20000, -100
OPEN_TREE_CLONE, AT_EMPTY_PATH, MOVE_MOUNT_F_EMPTY_PATH = 1, 0x1000, 4

libc = ctypes.CDLL(None, use_errno=True)
tree, giver, given = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
covered, free, secret = f"{tree}/covered", f"{tree}/free", f"{tree}/covered/secret"
WAYS: list[Callable[[], str]] = []


def way(function: Callable[[], str]) -> Callable[[], str]:
    """Register one."""
    WAYS.append(function)
    return function


def system_call(number: int, *arguments: object) -> int:
    """syscall(2), or OSError."""
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def mount(source: str, target: str, flags: int, kind: str = "none", options: str = "") -> None:
    """mount(2), or OSError."""
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, options.encode()):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def content(path: str, directory: int | None = None) -> str:
    """What is in a file."""
    descriptor = os.open(path, os.O_RDONLY, dir_fd=directory)
    return os.read(descriptor, 100).decode()


@way
def plainly() -> str:
    """By its path."""
    return content(secret)


@way
def relatively() -> str:
    """By a relative path that goes up."""
    os.chdir(f"{covered}/below")
    return content("../secret")


@way
def symbolic_link() -> str:
    """By a link to the file."""
    return content(f"{tree}/link")


@way
def symbolic_link_to_directory() -> str:
    """By a link to the directory."""
    return content(f"{tree}/link-to-directory/secret")


@way
def changed_root() -> str:
    """After chroot(2) into the directory."""
    os.chroot(covered)
    return content("/secret")


@way
def pivoted_root() -> str:
    """After pivot_root(2) into the directory."""
    mount(covered, covered, MS_BIND)
    os.chdir(covered)
    system_call(PIVOT_ROOT, ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    return content("/secret")


@way
def own_root_link() -> str:
    """By /proc/self/root."""
    return content(f"/proc/self/root{secret}")


@way
def own_directory_link() -> str:
    """By /proc/self/cwd."""
    os.chdir(covered)
    return content("/proc/self/cwd/secret")


@way
def path_descriptor() -> str:
    """A descriptor of O_PATH, opened again."""
    return content(f"/proc/self/fd/{os.open(secret, os.O_PATH)}")


@way
def directory_descriptor() -> str:
    """Beginning at an open directory."""
    return content("secret", os.open(covered, os.O_PATH))


@way
def descriptor_of_another() -> str:
    """By /proc/PID/fd of a process that has it open."""
    return content(f"/proc/{giver}/fd/{given}")


@way
def running_program() -> str:
    """By /proc/PID/exe of a process that runs it; the program stands for the secret."""
    child = os.fork()
    if child == 0:
        os.execv(f"{covered}/sleep", ["sleep", "100"])
    try:
        while os.readlink(f"/proc/{child}/exe") != f"{covered}/sleep":
            pass
        os.close(os.open(f"/proc/{child}/exe", os.O_RDONLY))
    finally:
        os.kill(child, signal.SIGKILL)
    return "secret"


@way
def bound_directory() -> str:
    """By a bind mount of its directory."""
    mount(covered, free, MS_BIND)
    return content(f"{free}/secret")


@way
def bound_parent() -> str:
    """By a recursive bind mount of a directory further up."""
    mount(tree, free, MS_BIND | MS_REC)
    return content(f"{free}/covered/secret")


@way
def bound_file() -> str:
    """By a bind mount of the file over another."""
    mount(secret, f"{free}/other", MS_BIND)
    return content(f"{free}/other")


@way
def moved_mount() -> str:
    """By a mount that was moved."""
    mount(covered, covered, MS_BIND)
    mount(covered, free, MS_MOVE)
    return content(f"{free}/secret")


@way
def detached_tree() -> str:
    """In a copy of the mount that is mounted nowhere."""
    copied = system_call(OPEN_TREE, AT_FDCWD, ctypes.c_char_p(covered.encode()), OPEN_TREE_CLONE)
    return content("secret", copied)


@way
def attached_tree() -> str:
    """The same, attached elsewhere by move_mount(2)."""
    copied = system_call(OPEN_TREE, AT_FDCWD, ctypes.c_char_p(covered.encode()), OPEN_TREE_CLONE)
    empty, target = ctypes.c_char_p(b""), ctypes.c_char_p(free.encode())
    system_call(MOVE_MOUNT, copied, empty, AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)
    return content(f"{free}/secret")


@way
def lazily_unmounted() -> str:
    """In a mount that is gone from the table but for whoever is in it."""
    mount(covered, free, MS_BIND)
    os.chdir(free)
    libc.umount2(free.encode(), MNT_DETACH)
    return content("secret")


@way
def received() -> str:
    """A descriptor over a unix socket, from somebody who may read the file."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(f"{tree}/giver")
        descriptors = array.array("i")
        _, ancillary, flags, _ = connection.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
    if not ancillary and flags & socket.MSG_CTRUNC:
        raise PermissionError(errno.EPERM, "not received")
    descriptors.frombytes(ancillary[0][2])
    return os.pread(descriptors[0], 100, 0).decode()


@way
def taken() -> str:
    """The same descriptor, taken by pidfd_getfd(2)."""
    process = system_call(PIDFD_OPEN, giver, 0)
    return os.pread(system_call(PIDFD_GETFD, process, given, 0), 100, 0).decode()


@way
def older_hard_link() -> str:
    """By a name beside the directory that is older than the policy."""
    return content(f"{free}/older")


def outcome(function: Callable[[], str]) -> str:
    """What comes of one way."""
    libc.unshare(CLONE_NEWNS)
    mount("none", "/", MS_REC | MS_PRIVATE)
    try:
        return function()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def main() -> None:
    """Try them all."""
    results = {}
    for function in WAYS:
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, outcome(function).encode())
            os._exit(0)
        os.close(writer)
        results[function.__name__] = os.read(reader, 100).decode()
        os.wait()
        os.close(reader)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
