"""Reads a kernel's BTF: where fields are. Pure: bytes in, offsets out.

Only what `headers` asks is decoded; the rest is stepped over. Format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from bulkhead.errors import KernelUnable

_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_MAGIC = 0xEB9F

INT, POINTER, ARRAY, STRUCT, UNION, ENUM, FORWARD, TYPEDEF = range(1, 9)
VOLATILE, CONST, RESTRICT, FUNCTION, PROTOTYPE, VARIABLE, SECTION, FLOAT, DECLARATION_TAG, TYPE_TAG, ENUM64 = range(
    9, 20
)
_TRANSPARENT = {TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG}
_EXTRA_BYTES = {INT: 4, ARRAY: 12, VARIABLE: 4, DECLARATION_TAG: 4}
_BYTES_EACH = {STRUCT: 12, UNION: 12, ENUM: 8, PROTOTYPE: 8, SECTION: 12, ENUM64: 12}


_BUSY_MARK, _WITHOUT_MARK = b"\0bpf_task_storage_busy\0", b"\0bpf_task_storage_get_recur\0"  # the second: from 6.2 on


def has_busy_storage(btf: bytes) -> bool:
    """Whether a kernel, whose BTF is given, may not find what is kept on a task while another look-up goes on.

    A whole BTF is searched for two names: `doctor` wants to know this alone, and to decode it takes seconds.
    """
    return _BUSY_MARK in btf and _WITHOUT_MARK not in btf


@dataclass(frozen=True)
class Type:
    """One type: its kind, name, the size or the type it refers to, and where its members are."""

    kind: int
    name: str
    members: int
    has_bit_sizes: bool
    size_or_type: int
    at: int


@dataclass(frozen=True)
class Member:
    """A member: byte offset within its structure, type id."""

    name: str
    type_id: int
    offset: int


class KernelTypes:
    """The types in a BTF blob. Those of a module go on counting strings where the kernel's end: `strings_of` it."""

    def __init__(self, blob: bytes, base_strings: bytes = b"") -> None:
        if len(blob) < _HEADER.size or _HEADER.unpack_from(blob)[0] != _MAGIC:
            raise KernelUnable("not BTF of a kernel of this byte order; nothing was loaded")
        self.blob = blob
        _, _, _, length, type_at, type_bytes, string_at, _ = _HEADER.unpack_from(blob)
        self._strings = length + string_at - len(base_strings)
        self._base_strings = base_strings
        self._starts = [0]
        self._structures: dict[str, int] = {}
        self._index(length + type_at, length + type_at + type_bytes)

    def structure(self, name: str) -> Type:
        """A structure by name. `KernelUnable` where the kernel has none."""
        return self.at(self.structure_id(name))

    def structure_id(self, name: str) -> int:
        """The same, its type id."""
        if name not in self._structures:
            raise KernelUnable(f"this kernel's BTF has no struct {name}; nothing was loaded")
        return self._structures[name]

    def at(self, type_id: int) -> Type:
        """A type by id."""
        start = self._starts[type_id]
        name, info, size_or_type = _TYPE.unpack_from(self.blob, start)
        return Type(info >> 24 & 31, self._text(name), info & 0xFFFF, bool(info >> 31), size_or_type, start + 12)

    def strip(self, type_id: int) -> Type:
        """The type behind typedefs and qualifiers."""
        found = self.at(type_id)
        while found.kind in _TRANSPARENT:
            found = self.at(found.size_or_type)
        return found

    def find(self, parent: Type, name: str) -> Member | None:
        """A member by name, also within anonymous structures and unions."""
        for member in self._members(parent):
            if member.name == name:
                return member
            if not member.name and (found := self.find(self.strip(member.type_id), name)):
                return Member(name, found.type_id, member.offset + found.offset)
        return None

    def has_member(self, structure: str, name: str) -> bool:
        """Whether the kernel has a structure with such a member."""
        return structure in self._structures and self.find(self.structure(structure), name) is not None

    def has_direct_member(self, structure: str, name: str) -> bool:
        """Whether a member is the structure's own, rather than of an anonymous union in it."""
        return any(member.name == name for member in self._members(self.structure(structure)))

    def size(self, found: Type) -> int:
        """Bytes."""
        if found.kind == POINTER:
            return 8
        if found.kind == ARRAY:
            element, _, count = struct.unpack_from("<III", self.blob, found.at)
            return self.size(self.strip(element)) * int(count)
        return found.size_or_type

    def member_names(self, structure: str) -> list[str]:
        """In order; empty for what has no name."""
        return [member.name for member in self._members(self.structure(structure))]

    def has_enumerator(self, enumeration: str, name: str) -> bool:
        """Whether an enumeration has a name among its values."""
        for type_id in range(1, len(self._starts)):
            found = self.at(type_id)
            if found.kind == ENUM and found.name == enumeration:
                return name in {
                    self._text(struct.unpack_from("<I", self.blob, found.at + 8 * i)[0]) for i in range(found.members)
                }
        return False

    def parameters(self, function: str) -> int | None:
        """How many parameters a function has; None where the kernel has no such function."""
        found = self.function(function)
        return None if found is None else self.at(self.at(found).size_or_type).members

    def function(self, name: str) -> int | None:
        """The type id of a function; None where the kernel has no such function."""
        return self._functions.get(name)

    @cached_property
    def _functions(self) -> dict[str, int]:
        """The type id of each function, by name."""
        every = ((type_id, self.at(type_id)) for type_id in range(1, len(self._starts)))
        return {found.name: type_id for type_id, found in every if found.kind == FUNCTION}

    def _members(self, parent: Type) -> Iterator[Member]:
        if parent.kind not in (STRUCT, UNION):
            return
        for index in range(parent.members):
            name, type_id, offset = _MEMBER.unpack_from(self.blob, parent.at + _MEMBER.size * index)
            bits = offset & 0xFFFFFF if parent.has_bit_sizes else offset
            yield Member(self._text(name), type_id, bits // 8)

    def _index(self, start: int, end: int) -> None:
        while start < end:
            name, info, _ = _TYPE.unpack_from(self.blob, start)
            kind, count = info >> 24 & 31, info & 0xFFFF
            if kind == STRUCT and name and count:
                self._structures.setdefault(self._text(name), len(self._starts))
            self._starts.append(start)
            start += _TYPE.size + _EXTRA_BYTES.get(kind, 0) + _BYTES_EACH.get(kind, 0) * count

    def _text(self, offset: int) -> str:
        if offset < len(self._base_strings):
            return self._base_strings[offset : self._base_strings.index(b"\0", offset)].decode()
        start = self._strings + offset
        return self.blob[start : self.blob.index(b"\0", start)].decode()


def strings_of(blob: bytes) -> bytes:
    """The string section of a BTF blob, which the BTF of modules refers to."""
    _, _, _, length, _, _, string_at, string_bytes = _HEADER.unpack_from(blob)
    return blob[length + string_at : length + string_at + string_bytes]
