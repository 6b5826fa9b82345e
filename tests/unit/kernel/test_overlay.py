"""Whether overlayfs is made as the programs believe."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from bulkhead.kernel.overlay import has_known_layout

_STRUCTURE = 4


def blob(strings: bytes, types: bytes = b"") -> bytes:
    """BTF of these sections."""
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings))
    return head + types + strings


def structure(strings: bytes, name: bytes, members: list[bytes], base: bytes = b"") -> bytes:
    """struct NAME with members of one kind, named by strings of the base or of the section itself."""
    every = base + strings

    def at(text: bytes) -> int:
        return every.index(b"\0" + text + b"\0") + 1

    fields = b"".join(struct.pack("<III", at(member), 1, 64 * n) for n, member in enumerate(members))
    return struct.pack("<III", at(name), _STRUCTURE << 24 | len(members), 8 * len(members)) + fields


BASE = b"\0vfs_inode\0inode\0"
OWN = b"\0ovl_inode\0__upperdentry\0flags\0"
RIGHT = [b"flags", b"vfs_inode", b"__upperdentry"]


@pytest.mark.parametrize(("members", "known"), [(RIGHT, True), (RIGHT[::-1], False), (RIGHT[:2], False)])
def test_the_modules_own_types_say_so(tmp_path: Path, members: list[bytes], known: bool) -> None:
    """The pointer to the upper dentry follows the inode; names may be the kernel's or the module's."""
    (tmp_path / "vmlinux").write_bytes(blob(BASE))
    (tmp_path / "overlay").write_bytes(blob(OWN, structure(OWN, b"ovl_inode", members, BASE)))
    assert has_known_layout(tmp_path) is known


def test_overlayfs_may_be_built_in(tmp_path: Path) -> None:
    """Then the kernel's own types have it."""
    strings = BASE + OWN[1:]
    (tmp_path / "vmlinux").write_bytes(blob(strings, structure(strings, b"ovl_inode", RIGHT)))
    assert has_known_layout(tmp_path)


def test_a_kernel_that_does_not_say_is_not_believed(tmp_path: Path) -> None:
    """No BTF at all, or none of the module."""
    assert not has_known_layout(tmp_path)
    without = tmp_path / "without"
    without.mkdir()
    (without / "vmlinux").write_bytes(blob(BASE))
    assert not has_known_layout(without)
