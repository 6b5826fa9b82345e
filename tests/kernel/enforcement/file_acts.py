"""Every way to do a file operation, done one after the other in a directory: `python file_acts.py DIRECTORY`.

Prints what came of each as JSON: the name of an error number, or an empty text where it worked. Run within a box by
`test_file_operations`, which also calls `prepare` outside of it. Each act has files of its own.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable

ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 6, 0xFFFFFFFF) for tag in (1, 4, 32))
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS = 0x80086601, 0x40086602
NODUMP = 0x40
MMAP, RENAMEAT2, OPENAT2, NAME_TO_HANDLE_AT, OPEN_BY_HANDLE_AT = 9, 316, 437, 303, 304  # of x86-64
EXCHANGE, AT_FDCWD = 2, -100
READ, EXECUTE, PRIVATE, PAGE = 1, 4, 2, 4096

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
Act = Callable[[str], object]
ACTS: dict[str, tuple[frozenset[str], Act]] = {}


def act(*operations: str) -> Callable[[Act], Act]:
    """Register an act on the file of its name, and what operations it is."""

    def register(function: Act) -> Act:
        ACTS[function.__name__] = (frozenset(operations), function)
        return function

    return register


def system_call(number: int, *arguments: object) -> int:
    """syscall(2), or OSError."""
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def map_file(path: str, protection: int) -> int:
    """mmap(2) of a file's first page: the address."""
    descriptor = os.open(path, os.O_RDONLY)
    return system_call(MMAP, None, ctypes.c_size_t(PAGE), protection, PRIVATE, descriptor, ctypes.c_long(0))


@act("Read")
def open_to_read(path: str) -> None:
    """The plain one."""
    os.close(os.open(path, os.O_RDONLY))


@act("Read")
def open_directory(path: str) -> None:
    """Listing a directory begins with opening it."""
    os.close(os.open(path + ".dir", os.O_RDONLY | os.O_DIRECTORY))


@act("Read")
def openat2(path: str) -> None:
    """openat2(2)."""
    how = struct.pack("<QQQ", os.O_RDONLY, 0, 0)
    os.close(system_call(OPENAT2, AT_FDCWD, ctypes.c_char_p(path.encode()), ctypes.c_char_p(how), len(how)))


@act("Read")
def reopen_path_descriptor(path: str) -> None:
    """A descriptor of O_PATH, opened again."""
    descriptor = os.open(path, os.O_PATH)
    os.close(os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY))


@act("Read")
def open_by_handle(path: str) -> None:
    """open_by_handle_at(2): no path at all."""
    handle = ctypes.create_string_buffer(struct.pack("<Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    system_call(NAME_TO_HANDLE_AT, AT_FDCWD, ctypes.c_char_p(path.encode()), handle, ctypes.byref(mount), 0)
    somewhere = os.open(f"{os.path.dirname(path)}/..", os.O_RDONLY)  # of the same file system
    os.close(system_call(OPEN_BY_HANDLE_AT, somewhere, handle, os.O_RDONLY))


@act("Write")
def open_to_write(path: str) -> None:
    """The plain one."""
    os.close(os.open(path, os.O_WRONLY))


@act("Write")
def create_what_exists(path: str) -> None:
    """creat(2) of an existing file."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))


@act("Read", "Write")
def open_to_read_and_write(path: str) -> None:
    """Both."""
    os.close(os.open(path, os.O_RDWR))


@act("Read", "Write")
def read_and_truncate(path: str) -> None:
    """O_TRUNC without writing."""
    os.close(os.open(path, os.O_RDONLY | os.O_TRUNC))


@act("Write")
def truncate(path: str) -> None:
    """truncate(2)."""
    os.truncate(path, 1)


@act("Create")
def create(path: str) -> None:
    """A new file; what is opened for writing is new too, so this is not about Write."""
    os.mknod(path + ".new", stat.S_IFREG | 0o600)


@act("Create")
def make_directory(path: str) -> None:
    """mkdir(2)."""
    os.mkdir(path + ".new")


@act("Create")
def make_pipe(path: str) -> None:
    """mkfifo(3)."""
    os.mkfifo(path + ".new")


@act("Create")
def make_device(path: str) -> None:
    """mknod(2) of a device."""
    os.mknod(path + ".new", stat.S_IFCHR | 0o600, os.makedev(1, 3))


@act("Create")
def bind_socket(path: str) -> None:
    """bind(2) of a unix socket makes a file."""
    directory = os.open(os.path.dirname(path), os.O_PATH)  # longer paths do not fit
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{directory}/s")


@act("Create")
def make_symbolic_link(path: str) -> None:
    """symlink(2)."""
    os.symlink("elsewhere", path + ".new")


@act("Create", "Write")
def make_nameless(path: str) -> None:
    """O_TMPFILE: a file without a name."""
    os.close(os.open(os.path.dirname(path), os.O_WRONLY | os.O_TMPFILE))


@act("Delete")
def unlink(path: str) -> None:
    """unlink(2)."""
    os.unlink(path)


@act("Delete")
def remove_directory(path: str) -> None:
    """rmdir(2)."""
    os.rmdir(path + ".dir")


@act("Rename", "Create")
def rename(path: str) -> None:
    """To a new name beside it."""
    os.rename(path, path + ".new")


@act("Rename", "Create")
def rename_directory(path: str) -> None:
    """The same of a directory."""
    os.rename(path + ".dir", path + ".new")


@act("Rename", "Create", "Delete")
def rename_over(path: str) -> None:
    """Over another file, which is gone then."""
    os.rename(path, path + ".other")


@act("Rename", "Create", "Delete")
def exchange(path: str) -> None:
    """RENAME_EXCHANGE."""
    old, new = (ctypes.c_char_p(each.encode()) for each in (path, path + ".other"))
    system_call(RENAMEAT2, AT_FDCWD, old, AT_FDCWD, new, EXCHANGE)


@act("Link", "Create")
def link(path: str) -> None:
    """link(2)."""
    os.link(path, path + ".new")


@act("Attributes")
def change_mode(path: str) -> None:
    """chmod(2)."""
    os.chmod(path, 0o640)


@act("Attributes")
def change_owner(path: str) -> None:
    """chown(2)."""
    os.chown(path, 1, 1)


@act("Attributes")
def change_owner_of_link(path: str) -> None:
    """lchown(2)."""
    os.lchown(path + ".symlink", 1, 1)


@act("Attributes")
def change_times(path: str) -> None:
    """utimensat(2)."""
    os.utime(path, (1, 1))


@act("Attributes")
def set_extended_attribute(path: str) -> None:
    """setxattr(2)."""
    os.setxattr(path, "trusted.x", b"x")


@act("Attributes")
def remove_extended_attribute(path: str) -> None:
    """removexattr(2)."""
    os.removexattr(path, "trusted.y")


@act("Attributes")
def set_access_list(path: str) -> None:
    """An access list is an extended attribute with a hook of its own."""
    os.setxattr(path, "system.posix_acl_access", ACL)


@act("Read", "Map")
def map_executable(path: str) -> None:
    """mmap(2) with PROT_EXEC; the descriptor must be opened first."""
    map_file(path, READ | EXECUTE)


@act("Read", "Map")
def make_mapping_executable(path: str) -> None:
    """mprotect(2)."""
    address = ctypes.c_void_p(map_file(path, READ))
    if libc.mprotect(address, PAGE, READ | EXECUTE):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


@act("Read")
def map_to_read(path: str) -> None:
    """Mapping data is no more than reading it."""
    map_file(path, READ)


@act("Attributes", "Read")
def set_flags(path: str) -> None:
    """chattr(1); the descriptor must be opened first."""
    descriptor = os.open(path, os.O_RDONLY)
    flags = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, bytes(8))
    fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("<Q", struct.unpack("<Q", flags)[0] | NODUMP))


def prepare(directory: str) -> None:
    """The files of every act."""
    for name in ACTS:
        path = f"{directory}/{name}"
        for suffix in ("", ".other"):
            with open(path + suffix, "w") as made:
                made.write("text\n")
        os.mkdir(path + ".dir")
        os.symlink("elsewhere", path + ".symlink")
        os.setxattr(path, "trusted.y", b"y")


def main() -> None:
    """Do everything and say what came of it."""
    results = {}
    for name, (_, function) in ACTS.items():
        try:
            function(f"{sys.argv[1]}/{name}")
            results[name] = ""
        except OSError as error:
            results[name] = errno.errorcode[error.errno or 0]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
