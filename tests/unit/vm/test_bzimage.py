"""Type information out of a kernel image, from images made here."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable

import pytest

from tools.vm import BenchError
from tools.vm.bzimage import btf

SETUP_SECTORS = 2
PAYLOAD_AT = 0x40


def elf(sections: dict[str, bytes]) -> bytes:
    """A 64-bit ELF file of nothing but a header, section contents, names and the section table."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*sections, ".shstrtab"])
    contents = [*sections.values(), names]
    body = b"".join(contents)
    table = bytes(64)
    at = 64
    for name, content in zip([*sections, ".shstrtab"], contents, strict=True):
        name_at = names.index(b"\0" + name.encode() + b"\0") + 1
        table += struct.pack("<IIQQQQ", name_at, 1, 0, 0, at, len(content)) + bytes(24)
        at += len(content)
    head = bytearray(b"\x7fELF\x02\x01".ljust(64, b"\0"))
    struct.pack_into("<Q", head, 0x28, 64 + len(body))
    struct.pack_into("<HHH", head, 0x3A, 64, len(contents) + 1, len(contents))
    return bytes(head) + body + table


def image(kernel: bytes, pack: Callable[[bytes], bytes] = gzip.compress) -> bytes:
    """A bzImage: boot sector, set-up, and the packed kernel with its size behind it, as the kernel's build makes it."""
    packed = pack(kernel) + struct.pack("<I", len(kernel))
    head = bytearray((SETUP_SECTORS + 1) * 512)
    head[0x1F1] = SETUP_SECTORS
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", head, 0x248, PAYLOAD_AT, len(packed))
    return bytes(head) + bytes(PAYLOAD_AT) + packed + b"what follows"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_section_comes_out_whole(pack: Callable[[bytes], bytes]) -> None:
    """Exactly the section's bytes, however the kernel is packed."""
    kernel = elf({".text": b"code" * 100, ".BTF": b"types", ".BTF_ids": b"not these"})
    assert btf(image(kernel, pack)) == b"types"


def test_kernel_without_types_is_told() -> None:
    """Not an empty file, but the option that the kernel was built without."""
    with pytest.raises(BenchError, match="CONFIG_DEBUG_INFO_BTF"):
        btf(image(elf({".text": b"code"})))


def test_no_kernel_image() -> None:
    """A file that is no kernel is refused as such."""
    with pytest.raises(BenchError, match="not a Linux x86 kernel image"):
        btf(bytes(4096))


def test_unknown_packing() -> None:
    """A packing from the future is named by its first bytes."""
    with pytest.raises(BenchError, match="begins with 00010203"):
        btf(image(b"", lambda _: bytes(range(8))))
