"""The maps that programs share: made from `abi.MAPS`, or taken over from pins, sizes checked against the header.

This is the third check of the boundary: what the kernel says of a map must be what Python and C were compiled with.
Next step: `bulkhead.kernel.instance` gives them to the programs.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkhead import abi
from bulkhead.errors import DoesNotFit, InternalError, KernelUnable
from bulkhead.kernel import libbpf
from bulkhead.kernel.btf import storage_types
from bulkhead.kernel.plan import Parameters

# BPF_MAP_TYPE_* of include/uapi/linux/bpf.h
_NUMBERS = {
    abi.MapType.HASH: 1,
    abi.MapType.ARRAY: 2,
    abi.MapType.PERCPU_HASH: 5,
    abi.MapType.PERCPU_ARRAY: 6,
    abi.MapType.LPM_TRIE: 11,
    abi.MapType.CGROUP_STORAGE: 19,
    abi.MapType.SK_STORAGE: 24,
    abi.MapType.RINGBUF: 27,
    abi.MapType.INODE_STORAGE: 28,
    abi.MapType.TASK_STORAGE: 29,
}
_CGRP_STORAGE = 32
_HASH, _ADDRESS_BYTES = _NUMBERS[abi.MapType.HASH], 8
_NOT_ON_OBJECTS = (abi.MapType.SK_STORAGE, abi.MapType.INODE_STORAGE)  # where BPF LSM is not active: storage.h
_DESCRIPTOR = struct.Struct("<i")
_ON_OBJECTS = (abi.MapType.SK_STORAGE, abi.MapType.INODE_STORAGE, abi.MapType.TASK_STORAGE)
_STORAGE = (*(_NUMBERS[kind] for kind in _ON_OBJECTS), _CGRP_STORAGE)


@dataclass(frozen=True)
class _Shape:
    number: int
    key_bytes: int
    value_bytes: int
    entries: int
    flags: int


def _shape(definition: abi.MapDefinition, parameters: Parameters) -> _Shape:
    kind = definition.type
    if kind is abi.MapType.CGROUP_BINDING:
        if parameters.cgroup_storage:
            return _Shape(_CGRP_STORAGE, _DESCRIPTOR.size, definition.value_bytes, 0, abi.MapFlag.NO_PREALLOC)
        kind = abi.MapType.HASH
    if kind in _NOT_ON_OBJECTS and not parameters.bpf_lsm:
        return _Shape(_HASH, _ADDRESS_BYTES, definition.value_bytes, definition.entries, definition.flags)
    entries = 0 if kind in _ON_OBJECTS else definition.entries
    return _Shape(_NUMBERS[kind], definition.key_bytes, definition.value_bytes, entries, definition.flags)


class Map:
    """One open map. Keys and values are bytes of the sizes in `abi`."""

    def __init__(self, definition: abi.MapDefinition, shape: _Shape, descriptor: int) -> None:
        self.name = definition.name
        self.identifier = definition.identifier
        self.descriptor = descriptor
        self._shape = shape

    def get(self, key: bytes) -> bytes | None:
        """The value, or None."""
        return libbpf.lookup(self.descriptor, key, self._shape.value_bytes)

    def put(self, key: bytes, value: bytes) -> None:
        """Write an entry. `DoesNotFit` where the map is full."""
        if len(key) != self._shape.key_bytes or len(value) != self._shape.value_bytes:
            raise InternalError(f"map {self.name}: an entry of {len(key)}+{len(value)} bytes was not written")
        error = libbpf.update(self.descriptor, key, value)
        if error in (errno.E2BIG, errno.ENOMEM, errno.ENOSPC):
            raise DoesNotFit(f"entries of map {self.name}", self._shape.entries + 1, self._shape.entries)
        if error:
            raise KernelUnable(f"map {self.name}: an entry cannot be written: {os.strerror(error)}")

    def remove(self, key: bytes) -> bool:
        """Remove an entry; whether there was one."""
        return libbpf.delete(self.descriptor, key)

    def take(self, key: bytes) -> bytes | None:
        """Read and remove an entry in one step."""
        return libbpf.take(self.descriptor, key, self._shape.value_bytes)

    def __iter__(self) -> Iterator[bytes]:
        """Every key, at least once if it is there throughout; take care when removing on the way."""
        key = libbpf.next_key(self.descriptor, None, self._shape.key_bytes)
        while key is not None:
            yield key
            key = libbpf.next_key(self.descriptor, key, self._shape.key_bytes)

    def items(self) -> list[tuple[bytes, bytes]]:
        """Keys and values at about this moment."""
        pairs = ((key, self.get(key)) for key in list(self))
        return [(key, value) for key, value in pairs if value is not None]

    def keep_only(self, kept: Collection[bytes]) -> None:
        """Remove all entries but those with these keys."""
        for key in list(self):
            if key not in kept:
                self.remove(key)

    def store(self, start: int, content: bytes) -> None:
        """Write a part of the first value, from byte `start` on (MMAPABLE maps).

        Only its pages are mapped, and not for longer: all that is mapped counts as this process's memory.
        """
        if not content:
            return
        before = start % mmap.PAGESIZE
        with mmap.mmap(self.descriptor, before + len(content), offset=start - before) as memory:
            memory[before:] = content

    def close(self) -> None:
        """Close the descriptor; a pinned map lives on."""
        os.close(self.descriptor)


class Maps:
    """All maps of an instance, by name (`maps["sets"]`)."""

    def __init__(self, maps: dict[str, Map]) -> None:
        self._maps = maps

    def __getitem__(self, name: str) -> Map:
        return self._maps[name]

    def descriptors(self) -> dict[int, int]:
        """Descriptor by the identifier that programs use."""
        return {each.identifier: each.descriptor for each in self._maps.values()}

    def pin(self, directory: Path) -> None:
        """Pin every map under its name."""
        for each in self._maps.values():
            libbpf.pin(each.descriptor, str(directory / each.name))

    def close(self) -> None:
        """Close the descriptors; pinned maps live on."""
        for each in self._maps.values():
            each.close()


def create_maps(parameters: Parameters) -> Maps:
    """Make every map anew."""
    made: dict[str, Map] = {}
    for definition in abi.MAPS:
        shape = _shape(definition, parameters)
        made[definition.name] = Map(definition, shape, _create(definition.name, shape))
    return Maps(made)


def open_maps(parameters: Parameters, directory: Path) -> Maps:
    """Open what is pinned in `directory`. `InternalError` where a size is not what the header says."""
    return Maps({definition.name: open_map(parameters, directory, definition) for definition in abi.MAPS})


def open_map(parameters: Parameters, directory: Path, definition: abi.MapDefinition) -> Map:
    """The same of one map."""
    shape = _shape(definition, parameters)
    descriptor = libbpf.open_pinned(str(directory / definition.name))
    _check_sizes(definition.name, shape, descriptor)
    return Map(definition, shape, descriptor)


def _create(name: str, shape: _Shape) -> int:
    types = None
    if shape.number in _STORAGE:
        blob, key, value = storage_types(shape.value_bytes)
        types = (libbpf.load_btf(blob), key, value)
    sizes = (shape.key_bytes, shape.value_bytes, shape.entries)
    descriptor = libbpf.create_map(shape.number, name, sizes, shape.flags, types)
    if types:
        os.close(types[0])
    _check_sizes(name, shape, descriptor)
    return descriptor


def _check_sizes(name: str, shape: _Shape, descriptor: int) -> None:
    # struct bpf_map_info: type, id, key_size, value_size, ...
    number, _, key_bytes, value_bytes = struct.unpack_from("<IIII", libbpf.object_info(descriptor))
    if (number, key_bytes, value_bytes) != (shape.number, shape.key_bytes, shape.value_bytes):
        raise InternalError(
            f"map {name} has type {number} and {key_bytes}+{value_bytes} bytes, expected type {shape.number} and "
            f"{shape.key_bytes}+{shape.value_bytes}; what is pinned goes on enforcing"
        )


def word(value: int) -> bytes:
    """A u32 key or value."""
    return struct.pack("<I", value)


def pack(structure: ctypes.Structure) -> bytes:
    """A structure's bytes."""
    return bytes(memoryview(structure).cast("B"))
