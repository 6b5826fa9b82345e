"""Just enough BTF to tell the verifier about our functions and maps.

Global functions need the size of what their argument points to, callbacks that they are static, some maps that their
key is an integer. Members of structures do not matter and are left out. Format: Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct

from bulkhead.kernel.plan import FUNCTIONS, Function, Linkage

_INT, _POINTER, _STRUCT, _FUNCTION, _PROTOTYPE, _DECLARATION_TAG = 1, 2, 4, 12, 13, 17
_STATIC, _GLOBAL = 0, 1
_SIGNED = 1 << 24
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_ANY_BYTES = 8  # of a structure that the kernel finds by name among its own

_BY_NAME = {function.name: function for function in FUNCTIONS}


class Types:
    """A set of types under construction. Methods return type ids."""

    def __init__(self) -> None:
        self._strings = b"\0"
        self._types: list[bytes] = []

    def integer(self, name: str, size: int, signed: bool = False) -> int:
        """An integer of `size` bytes."""
        return self._add(name, _INT, 0, size, struct.pack("<I", (_SIGNED if signed else 0) | size * 8))

    def structure(self, name: str, size: int) -> int:
        """A structure of `size` bytes, without members."""
        return self._add(name, _STRUCT, 0, size)

    def pointer(self, to: int) -> int:
        """A pointer to a type."""
        return self._add("", _POINTER, 0, to)

    def function(self, name: str, returns: int, parameters: list[tuple[str, int]], is_global: bool) -> int:
        """A function with its prototype."""
        listed = b"".join(struct.pack("<II", self._string(label), kind) for label, kind in parameters)
        prototype = self._add("", _PROTOTYPE, len(parameters), returns, listed)
        return self._add(name, _FUNCTION, _GLOBAL if is_global else _STATIC, prototype)

    def tag_parameter(self, function: int, parameter: int, tag: str) -> None:
        """A declaration tag on one parameter, counted from 0."""
        self._add(tag, _DECLARATION_TAG, 0, function, struct.pack("<I", parameter))

    def blob(self) -> bytes:
        """The whole, as the kernel takes it."""
        types = b"".join(self._types)
        header = _HEADER.pack(0xEB9F, 1, 0, _HEADER.size, 0, len(types), len(types), len(self._strings))
        return header + types + self._strings

    def _string(self, text: str) -> int:
        if not text:
            return 0
        at = len(self._strings)
        self._strings += text.encode() + b"\0"
        return at

    def _add(self, name: str, kind: int, vlen: int, size_or_type: int, rest: bytes = b"") -> int:
        self._types.append(_TYPE.pack(self._string(name), kind << 24 | vlen, size_or_type) + rest)
        return len(self._types)


def function_types(names: tuple[str, ...], trusted_global: bool) -> tuple[bytes, dict[str, int]]:
    """BTF for the functions of one program, and each function's type id.

    `trusted_global` says which form functions of linkage TRUSTED take (see `plan.Linkage`).
    """
    types = Types()
    result = types.integer("int", 4, signed=True)
    word = types.integer("unsigned long long", 8)
    any_pointer = types.pointer(word)
    ids = {}
    for name in names:
        function = _BY_NAME.get(name)
        if function is None:
            ids[name] = types.function(name, result, [("ctx", any_pointer)], is_global=True)
        elif function.linkage is Linkage.CALLBACK:
            ids[name] = types.function(name, result, [("i", word), ("context", any_pointer)], is_global=False)
        elif function.linkage is Linkage.GLOBAL:
            ids[name] = types.function(name, result, _argument(types, function), is_global=True)
        else:
            ids[name] = _trusted(types, function, result, word, trusted_global)
    return types.blob(), ids


def _argument(types: Types, function: Function) -> list[tuple[str, int]]:
    if not function.argument_bytes:
        return []
    return [("argument", types.pointer(types.structure(f"{function.name}_argument", function.argument_bytes)))]


def _trusted(types: Types, function: Function, result: int, word: int, is_global: bool) -> int:
    pointer = types.pointer(types.structure(function.points_to, _ANY_BYTES))
    parameters = [(function.points_to, pointer), *((name, word) for name in function.words)]
    made = types.function(function.name, result, parameters, is_global)
    if is_global:
        types.tag_parameter(made, 0, "arg:trusted")
    return made


def storage_types(value_bytes: int) -> tuple[bytes, int, int]:
    """BTF for a storage map: the blob, the key's type id (an int), the value's."""
    types = Types()
    key = types.integer("int", 4, signed=True)
    value = types.integer("value", 4) if value_bytes == 4 else types.structure("value", value_bytes)
    return types.blob(), key, value
