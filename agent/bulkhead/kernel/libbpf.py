"""The few functions of libbpf that are needed, called through ctypes, their errors translated here and nowhere else.

libbpf is what bcc itself depends on. Numbers and structures are those of libbpf 1.x's bpf.h and of
include/uapi/linux/bpf.h; option structures begin with their size, so an older libbpf ignores what it does not know.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

from bulkhead.errors import DoesNotFit, KernelUnable, ProgramRefused

_LOG_BYTES = 1 << 22
_FUNC_INFO_BYTES = 8  # struct bpf_func_info: instruction, type id
_RECORD_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _MapOptions(ctypes.Structure):
    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("btf_fd", ctypes.c_uint32),
        ("btf_key_type_id", ctypes.c_uint32),
        ("btf_value_type_id", ctypes.c_uint32),
        ("btf_vmlinux_value_type_id", ctypes.c_uint32),
        ("inner_map_fd", ctypes.c_uint32),
        ("map_flags", ctypes.c_uint32),
        ("map_extra", ctypes.c_uint64),
        ("numa_node", ctypes.c_uint32),
        ("map_ifindex", ctypes.c_uint32),
    )


class _ProgramOptions(ctypes.Structure):
    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("attempts", ctypes.c_int),
        ("expected_attach_type", ctypes.c_uint32),
        ("prog_btf_fd", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_ifindex", ctypes.c_uint32),
        ("kern_version", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("attach_prog_fd", ctypes.c_uint32),
        ("attach_btf_obj_fd", ctypes.c_uint32),
        ("fd_array", ctypes.c_void_p),
        ("func_info", ctypes.c_void_p),
        ("func_info_cnt", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("line_info", ctypes.c_void_p),
        ("line_info_cnt", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_void_p),
    )


class _BtfOptions(ctypes.Structure):
    _fields_ = (
        ("sz", ctypes.c_size_t),
        ("log_buf", ctypes.c_void_p),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
    )


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
    except OSError as error:
        raise KernelUnable(f"libbpf.so.1 cannot be used: {error}; nothing was loaded") from error
    library.btf__load_vmlinux_btf.restype = ctypes.c_void_p
    library.btf__find_by_name_kind.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32)
    library.ring_buffer__new.restype = ctypes.c_void_p
    library.ring_buffer__new.argtypes = (ctypes.c_int, _RECORD_CALLBACK, ctypes.c_void_p, ctypes.c_void_p)
    library.ring_buffer__poll.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.ring_buffer__consume.argtypes = (ctypes.c_void_p,)
    library.ring_buffer__free.argtypes = (ctypes.c_void_p,)
    library.ring_buffer__free.restype = None
    library.libbpf_set_print(None)
    return library


def _check(result: int, what: str) -> int:
    if result >= 0:
        return int(result)
    number = ctypes.get_errno() or -result
    if number == errno.ENOSPC:
        raise KernelUnable(f"{what}: no room ({os.strerror(number)})")
    if number == errno.E2BIG:
        raise DoesNotFit(what, 1, 0)
    raise KernelUnable(f"{what}: {os.strerror(number)}")


def _as_bytes(path: str) -> bytes:
    return os.fsencode(path)


@cache
def _kernel_btf() -> int:
    handle = _library().btf__load_vmlinux_btf()
    if not handle:
        raise KernelUnable("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF); nothing was loaded")
    return int(handle)


def kernel_type(name: str, kind: int) -> int:
    """The id of a type of the running kernel; `kind` is BTF_KIND_* (12 a function, 8 a typedef)."""
    return _check(_library().btf__find_by_name_kind(_kernel_btf(), name.encode(), kind), f"the kernel has no {name}")


def create_map(
    map_type: int, name: str, sizes: tuple[int, int, int], flags: int, types: tuple[int, int, int] | None
) -> int:
    """Make a map. `sizes` are key bytes, value bytes, entries; `types` a BTF descriptor and two type ids."""
    options = _MapOptions(sz=ctypes.sizeof(_MapOptions), map_flags=flags)
    if types:
        options.btf_fd, options.btf_key_type_id, options.btf_value_type_id = types
    made = _library().bpf_map_create(map_type, name.encode()[:15], *sizes, ctypes.byref(options))
    return _check(made, f"map {name} cannot be made")


def load_btf(blob: bytes) -> int:
    """Give BTF to the kernel; returns its descriptor."""
    log = ctypes.create_string_buffer(1 << 16)
    options = _BtfOptions(ctypes.sizeof(_BtfOptions), ctypes.addressof(log), 1, len(log))
    made: int = _library().bpf_btf_load(blob, ctypes.c_size_t(len(blob)), ctypes.byref(options))
    if made < 0:
        raise ProgramRefused("the kernel refuses our BTF; nothing was loaded", log.value.decode(errors="replace"))
    return made


def load_program(name: str, code: bytes, types: tuple[int, int, int], functions: tuple[int, bytes]) -> int:
    """Load a program. `types` are program type, attach type and the BTF id of the hook (0: none).

    `functions` are a BTF descriptor and func_info. Raises `ProgramRefused` with the verifier's log, got by a second
    attempt.
    """
    made, _ = _try_program(name, code, types, functions, log_bytes=0)
    if made >= 0:
        return made
    made, log = _try_program(name, code, types, functions, log_bytes=_LOG_BYTES)
    if made >= 0:
        return made
    raise ProgramRefused(f"the kernel refuses program {name}: {os.strerror(-made)}; nothing was loaded", log)


def _try_program(
    name: str, code: bytes, types: tuple[int, int, int], functions: tuple[int, bytes], log_bytes: int
) -> tuple[int, str]:
    program_type, attach_type, hook = types
    log = ctypes.create_string_buffer(log_bytes + 1)
    func_info = ctypes.create_string_buffer(functions[1], len(functions[1]))
    options = _ProgramOptions(
        sz=ctypes.sizeof(_ProgramOptions),
        attempts=1,
        expected_attach_type=attach_type,
        prog_btf_fd=functions[0],
        attach_btf_id=hook,
        func_info=ctypes.addressof(func_info),
        func_info_cnt=len(functions[1]) // _FUNC_INFO_BYTES,
        func_info_rec_size=_FUNC_INFO_BYTES,
    )
    if log_bytes:
        options.log_level, options.log_size, options.log_buf = 1, log_bytes, ctypes.addressof(log)
    count = ctypes.c_size_t(len(code) // 8)
    made: int = _library().bpf_prog_load(program_type, name.encode()[:15], b"GPL", code, count, ctypes.byref(options))
    return (made if made >= 0 else -(ctypes.get_errno() or -made)), log.value.decode(errors="replace")


def attach_to_kernel(name: str, program: int) -> int:
    """Attach an LSM or tracing program to the hook it was loaded for; returns the link."""
    return _check(_library().bpf_raw_tracepoint_open(None, program), f"program {name} cannot be attached")


def attach_to_cgroup(name: str, program: int, cgroup: int, attach_type: int) -> int:
    """Attach a program to an open cgroup directory, beside whatever is there; returns the link."""
    made = _library().bpf_link_create(program, cgroup, attach_type, None)
    return _check(made, f"program {name} cannot be attached to the cgroup")


def replace_program(name: str, link: int, program: int) -> None:
    """Put another program into a cgroup link, in one step."""
    _check(_library().bpf_link_update(link, program, None), f"program {name} cannot be replaced")


def pin(descriptor: int, path: str) -> None:
    """Pin a map, program or link, so that it outlives this process."""
    _check(_library().bpf_obj_pin(descriptor, _as_bytes(path)), f"{path} cannot be pinned")


def open_pinned(path: str) -> int:
    """Open what is pinned."""
    return _check(_library().bpf_obj_get(_as_bytes(path)), f"{path} cannot be opened")


def object_info(descriptor: int) -> bytes:
    """struct bpf_map_info, bpf_prog_info or bpf_link_info, as bytes."""
    buffer = ctypes.create_string_buffer(256)
    length = ctypes.c_uint32(len(buffer))
    result = _library().bpf_obj_get_info_by_fd(descriptor, buffer, ctypes.byref(length))
    _check(result, "a kernel object cannot be described")
    return buffer.raw[: length.value]


def update(descriptor: int, key: bytes, value: bytes, flags: int = 0) -> int:
    """Write a map entry; returns 0 or the error number."""
    result = _library().bpf_map_update_elem(descriptor, key, value, ctypes.c_uint64(flags))
    return 0 if result >= 0 else ctypes.get_errno() or -result


def lookup(descriptor: int, key: bytes, value_bytes: int) -> bytes | None:
    """Read a map entry; None where there is none."""
    value = ctypes.create_string_buffer(value_bytes)
    return value.raw if _library().bpf_map_lookup_elem(descriptor, key, value) >= 0 else None


def delete(descriptor: int, key: bytes) -> bool:
    """Remove a map entry; whether there was one."""
    return bool(_library().bpf_map_delete_elem(descriptor, key) >= 0)


def take(descriptor: int, key: bytes, value_bytes: int) -> bytes | None:
    """Read and remove a map entry in one step."""
    value = ctypes.create_string_buffer(value_bytes)
    return value.raw if _library().bpf_map_lookup_and_delete_elem(descriptor, key, value) >= 0 else None


def next_key(descriptor: int, key: bytes | None, key_bytes: int) -> bytes | None:
    """The key after `key`, or the first; None at the end."""
    following = ctypes.create_string_buffer(key_bytes)
    return following.raw if _library().bpf_map_get_next_key(descriptor, key, following) >= 0 else None


class RingReader:
    """Reads a ring buffer; each record's bytes are given to `accept`."""

    def __init__(self, descriptor: int, accept: Callable[[bytes], None]) -> None:
        def callback(_context: int, data: int, size: int) -> int:
            accept(ctypes.string_at(data, size))
            return 0

        self._callback = _RECORD_CALLBACK(callback)
        self._ring = _library().ring_buffer__new(descriptor, self._callback, None, None)
        if not self._ring:
            raise KernelUnable(f"the event buffer cannot be read: {os.strerror(ctypes.get_errno())}")

    def poll(self, timeout_ms: int) -> int:
        """Wait for records and take all there are; returns how many."""
        taken = _library().ring_buffer__poll(self._ring, timeout_ms)
        if taken == -errno.EINTR:
            return 0
        return _check(taken, "the event buffer cannot be read")

    def consume(self) -> int:
        """Take all records there are, without waiting; returns how many."""
        return _check(_library().ring_buffer__consume(self._ring), "the event buffer cannot be read")

    def close(self) -> None:
        """Stop reading; what was not read stays in the buffer."""
        if self._ring:
            _library().ring_buffer__free(self._ring)
            self._ring = None
