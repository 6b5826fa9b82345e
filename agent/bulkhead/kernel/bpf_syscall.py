"""The bpf(2) system call, as little of it as feature detection needs: every attempt is made and undone at once.

Kept apart from the binding to libbpf, so that detection still works, and can say so, where libbpf is missing. Numbers
are those of include/uapi/linux/bpf.h. Next step: `features` decides what to try and what an error number means.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum

BPF_SYSCALL = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "ppc64le": 361, "s390x": 351}
MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, PROG_LOAD, RAW_TRACEPOINT_OPEN, BTF_LOAD = 0, 1, 2, 5, 17, 18
ATTR_BYTES = 128
MAP_NAME_BYTES = 16
NO_PREALLOC = 1
INT32_TYPE = 1  # id of the only type in INT32_BTF
INT32_BTF = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 16, 16, 5) + struct.pack("<IIII", 1, 1 << 24, 4, 32)
INT32_BTF += b"\0int\0"

_libc = ctypes.CDLL(None, use_errno=True)


class MapType(IntEnum):
    """BPF_MAP_TYPE_*."""

    ARRAY = 2
    LPM_TRIE = 11
    CGROUP_STORAGE = 19
    RINGBUF = 27
    INODE_STORAGE = 28
    TASK_STORAGE = 29
    CGRP_STORAGE = 32


class ProgramType(IntEnum):
    """BPF_PROG_TYPE_*."""

    CGROUP_SKB = 8
    CGROUP_SOCK_ADDR = 18
    TRACING = 26
    LSM = 29


class AttachType(IntEnum):
    """BPF_* of enum bpf_attach_type."""

    CGROUP_INET_EGRESS = 1
    CGROUP_INET4_CONNECT = 10
    TRACE_RAW_TP = 23
    MODIFY_RETURN = 26
    LSM_MAC = 27


def instruction(code: int, registers: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    """One instruction of 8 bytes. `registers` is source << 4 | destination."""
    return struct.pack("<BBhi", code, registers, offset, immediate)


EXIT = instruction(0x95)
RETURN_0 = instruction(0xB7) + EXIT
RETURN_1 = instruction(0xB7, immediate=1) + EXIT


def call(helper: int) -> bytes:
    """Call a kernel helper with whatever the argument registers hold."""
    return instruction(0x85, immediate=helper)


def store_in_array(fd: int, value: int) -> bytes:
    """Store 64 bits at the start of an array map's first value."""
    address = instruction(0x18, registers=0x21, immediate=fd) + instruction(0)
    return address + instruction(0x7A, registers=0x01, immediate=value)


def _bpf(command: int, attributes: bytes) -> int:
    """The call itself. Raises OSError with the kernel's error number."""
    number = BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(38, f"the number of bpf(2) on {platform.machine()} is not known")
    attr = ctypes.create_string_buffer(attributes, ATTR_BYTES)
    result = int(_libc.syscall(number, command, attr, ctypes.c_uint(ATTR_BYTES)))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


@contextmanager
def _open_for_a_moment(command: int, attributes: bytes) -> Iterator[int]:
    fd = _bpf(command, attributes)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def loaded_map(kind: MapType, shape: Sequence[int], flags: int = 0, btf: int = 0) -> Iterator[int]:
    """A map of `shape` (key bytes, value bytes, entries) that is gone after the block. Raises OSError."""
    btf_types = (INT32_TYPE, INT32_TYPE) if btf else (0, 0)
    attributes = struct.pack("<5I", kind, *shape, flags)
    attributes += struct.pack("<2I", 0, 0) + b"bulkhead_probe".ljust(MAP_NAME_BYTES, b"\0")
    attributes += struct.pack("<4I", 0, btf, *btf_types)
    with _open_for_a_moment(MAP_CREATE, attributes) as fd:
        yield fd


@contextmanager
def loaded_btf() -> Iterator[int]:
    """A description of the type int, for maps that must have one. Raises OSError."""
    blob = ctypes.create_string_buffer(INT32_BTF, len(INT32_BTF))
    with _open_for_a_moment(BTF_LOAD, struct.pack("<QQII", ctypes.addressof(blob), 0, len(INT32_BTF), 0)) as fd:
        yield fd


@contextmanager
def loaded_program(kind: ProgramType, attach: AttachType, code: bytes, btf_id: int = 0) -> Iterator[int]:
    """A program that is gone after the block. `btf_id` is what it attaches to, in the kernel's BTF. Raises OSError."""
    instructions = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "<IIQQIIQII16sIIIIQIIQII",
        *(kind, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence)),
        *(0, 0, 0, 0, 0),  # log level, size and buffer; kernel version; flags
        b"bulkhead_probe",
        *(0, attach, 0, 0, 0, 0, 0, 0, 0),  # interface; attach type; BTF, function and line information
        btf_id,
    )
    with _open_for_a_moment(PROG_LOAD, attributes) as fd:
        yield fd


@contextmanager
def attached(program: int) -> Iterator[None]:
    """A tracing or LSM program at work for the length of the block. Raises OSError."""
    with _open_for_a_moment(RAW_TRACEPOINT_OPEN, struct.pack("<QI", 0, program)):
        yield


def first_value(array: int) -> int:
    """The first 64 bits of an array map's first value."""
    key, value = ctypes.c_uint32(0), ctypes.c_uint64(0)
    attributes = struct.pack("<IIQQQ", array, 0, ctypes.addressof(key), ctypes.addressof(value), 0)
    _bpf(MAP_LOOKUP, attributes)
    return value.value


def update_element(fd: int, key: int, value: int) -> None:
    """Set a 32-bit value by a 32-bit key, which is a descriptor for the storage kinds. Raises OSError."""
    words = (ctypes.c_uint32 * 2)(key, value)
    address = ctypes.addressof(words)
    _bpf(MAP_UPDATE, struct.pack("<IIQQQ", fd, 0, address, address + 4, 0))
