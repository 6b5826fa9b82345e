"""bulkhead.kernel.bpf_syscall: what is handed to the kernel. That the kernel takes it is in tests/kernel."""

from __future__ import annotations

import struct

from bulkhead.kernel.bpf_syscall import INT32_BTF, RETURN_0, store_in_array


def test_btf_describes_one_signed_integer() -> None:
    """The header's lengths fit what follows it: one type of 16 bytes, five bytes of names."""
    magic, version, _, header, types_at, types, names_at, names = struct.unpack_from("<HBBIIIII", INT32_BTF)
    assert (magic, version, header) == (0xEB9F, 1, 24)
    assert header + names_at + names == len(INT32_BTF)
    assert (types_at, types) == (0, names_at)
    name, info, size, encoding = struct.unpack_from("<IIII", INT32_BTF, header)
    assert INT32_BTF[header + names_at + name :] == b"int\0"
    assert (info >> 24, size, encoding & 0xFF) == (1, 4, 32)


def test_programs_are_whole_instructions() -> None:
    """The map's descriptor stands in the first of two slots, marked as the address of its value."""
    code = store_in_array(5, 1) + RETURN_0
    assert len(code) % 8 == 0
    assert struct.unpack_from("<BBhi", code) == (0x18, 0x21, 0, 5)
