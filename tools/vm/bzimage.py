"""The kernel's type information (BTF), taken out of a compressed kernel image without booting it.

Why here: programs are compiled on the machine against the guest's BTF, ten times faster than in the guest. The layout
is that of the kernel's Documentation/arch/x86/boot.rst and of ELF64. Pure, but for the decompressors of the system.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess

from tools.vm import BenchError

BOOT_MAGIC_AT = 0x202
SECTOR = 512


def payload(image: bytes) -> bytes:
    """The compressed kernel inside a bzImage (boot protocol 2.08 or later)."""
    if image[BOOT_MAGIC_AT : BOOT_MAGIC_AT + 4] != b"HdrS":
        raise BenchError("this file is not a Linux x86 kernel image: the boot header is missing")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * SECTOR + offset
    return image[start : start + length]


def decompress(data: bytes) -> bytes:
    """The kernel's ELF image. The last four bytes of the payload are its size, and no part of the compressed stream."""
    if data.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor().decompress(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data[:-4])
    for magic, tool in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x02\x21\x4c\x18", "lz4")):
        if data.startswith(magic):
            return _piped([tool, "-dcq"], data[:-4])
    raise BenchError(f"the kernel image is compressed in a way that is not known here: it begins with {data[:4].hex()}")


def _piped(command: list[str], data: bytes) -> bytes:
    try:
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise BenchError(f"{command[0]} is needed to decompress this kernel and is not installed") from error
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{command[0]} could not decompress this kernel: {error.stderr.decode().strip()}") from error


def elf_section(elf: bytes, name: str) -> bytes:
    """The content of one section of a little-endian ELF64 file."""
    if elf[:6] != b"\x7fELF\x02\x01":
        raise BenchError("the decompressed kernel is not a 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", elf, 0x3A)

    def section(index: int) -> tuple[int, int, int]:
        name_at, _type, _flags, _address, offset, size = struct.unpack_from("<IIQQQQ", elf, table + index * entry_size)
        return name_at, offset, size

    _, names_at, _ = section(names_index)
    for index in range(count):
        name_at, offset, size = section(index)
        end = elf.index(b"\0", names_at + name_at)
        if elf[names_at + name_at : end] == name.encode():
            return elf[offset : offset + size]
    raise BenchError(f"the kernel has no {name} section: it was built without CONFIG_DEBUG_INFO_BTF")


def btf(image: bytes) -> bytes:
    """What /sys/kernel/btf/vmlinux would read under this kernel image."""
    return elf_section(decompress(payload(image)), ".BTF")
