"""Makes Python structures and C assertions of probes/include/abi.h: the first two of three checks of the boundary.

Writes agent/bulkhead/abi/generated.py (constants, enumerations, ctypes structures, the table of maps) and
probes/include/abi_check.h, in which the compiler is asked whether it lays the structures out as Python does. The third
check is made when maps are loaded: their key and value sizes are compared. `--check` writes nothing and compares.
"""

from __future__ import annotations

import ctypes
import runpy
import sys
from collections.abc import Iterator

from tools.abi_header import INTEGERS, Constant, Enumeration, Field, Header, HeaderError, Map, Structure, read_header
from tools.generated_files import ROOT, check_asked, settle

HEADER = ROOT / "probes/include/abi.h"
PARTS = (HEADER, *(ROOT / f"probes/include/abi_{part}.h" for part in ("functions", "layers", "maps", "start")))
PYTHON = ROOT / "agent/bulkhead/abi/generated.py"
MAP_WORDS = ROOT / "agent/bulkhead/abi/maps.py"
ASSERTIONS = ROOT / "probes/include/abi_check.h"
REMEDY = "make gen-abi"
LINE = 120

PREAMBLE = '''\
"""The kernel boundary in Python, made from probes/include/abi.h by tools/gen_abi.py: `make gen-abi`."""

from ctypes import Array, Structure, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum
from typing import Final

from bulkhead.abi.maps import MapDefinition, MapFlag, MapType
'''

CHECK_PREAMBLE = """\
/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Made from abi.h by tools/gen_abi.py: include it after abi.h. The compiler must lay out structures as Python does. */
/* clang-format off */
#ifndef BULKHEAD_ABI_CHECK_H
#define BULKHEAD_ABI_CHECK_H
"""

CTYPES: dict[str, type[ctypes.c_uint8 | ctypes.c_uint16 | ctypes.c_uint32 | ctypes.c_uint64]] = {
    "__u8": ctypes.c_uint8,
    "__u16": ctypes.c_uint16,
    "__u32": ctypes.c_uint32,
    "__u64": ctypes.c_uint64,
}


def camel_case(name: str) -> str:
    """`policy_set` → `PolicySet`."""
    return "".join(word.capitalize() for word in name.split("_"))


def render_python(header: Header) -> str:
    """The text of agent/bulkhead/abi/generated.py."""
    parts = [PREAMBLE, "\n".join(_constant(constant) for constant in header.constants) + "\n"]
    parts += [f"\n{_enumeration(enumeration)}" for enumeration in header.enumerations]
    parts += [f"\n{_structure(structure)}" for structure in header.structures]
    parts += [
        f"\nMAPS: Final[tuple[MapDefinition, ...]] = (\n{''.join(_map(definition) for definition in header.maps)})\n"
    ]
    names = [constant.name for constant in header.constants]
    names += [camel_case(enumeration.name) for enumeration in header.enumerations]
    names += [camel_case(structure.name) for structure in header.structures]
    names += ["MAPS"]
    parts += ["__all__ = [\n" + "".join(f'    "{name}",\n' for name in sorted(names)) + "]\n"]
    return "\n".join(parts)


def _with_comment(code: str, comment: str, indent: str = "") -> str:
    """The comment after the code where it fits, else on the line before."""
    if not comment:
        return f"{indent}{code}"
    after = f"{indent}{code}  # {comment}"
    return after if len(after) <= LINE else f"{indent}# {comment}\n{indent}{code}"


def _constant(constant: Constant) -> str:
    value = hex(constant.value) if constant.name.endswith("_MASK") or constant.value >= 1 << 31 else constant.value
    return _with_comment(f"{constant.name}: Final[int] = {value}", constant.comment)


def _enumeration(enumeration: Enumeration) -> str:
    lines = [f"class {camel_case(enumeration.name)}(IntEnum):", f'    """enum {enumeration.name}."""', ""]
    lines += [
        _with_comment(f"{member.name} = {member.value}", member.comment, "    ") for member in enumeration.members
    ]
    return "\n".join(lines) + "\n"


def _element(field: Field) -> str:
    if field.type in INTEGERS:
        return f"c_uint{8 * INTEGERS[field.type]}"
    return camel_case(field.type.removeprefix("struct "))


def _annotation(field: Field) -> str:
    if field.count_name:
        return f"Array[{_element(field)}]"
    return "int" if field.type in INTEGERS else _element(field)


def _structure(structure: Structure) -> str:
    lines = [f"class {camel_case(structure.name)}(Structure):"]
    lines += [f'    """struct {structure.name}, {structure.size} bytes."""', ""]
    lines += [_with_comment(f"{field.name}: {_annotation(field)}", field.comment, "    ") for field in structure.fields]
    lines += ["    _fields_ = ("]
    for field in structure.fields:
        length = f" * {field.count_name}" if field.count_name else ""
        lines.append(f'        ("{field.name}", {_element(field)}{length}),')
    return "\n".join([*lines, "    )"]) + "\n"


def _map(definition: Map) -> str:
    flags = " | ".join(f"MapFlag.{name}" for name in definition.flags) or "MapFlag(0)"
    return (
        f"    MapDefinition(\n        identifier={definition.identifier:#x},\n"
        f'        name="{definition.name}",\n        type=MapType.{definition.type},\n'
        f"        key_bytes={definition.key_bytes},\n        value_bytes={definition.value_bytes},\n"
        f"        entries={definition.entries},\n"
        f"        flags={flags},\n    ),\n"
    )


def render_assertions(header: Header) -> str:
    """The text of probes/include/abi_check.h: sizes and offsets as ctypes computes them."""
    types = ctypes_of(header)
    lines = [line for structure in header.structures for line in _assertions(structure, types[structure.name])]
    return f"{CHECK_PREAMBLE}\n{chr(10).join(lines)}\n#endif\n"


def _assertions(structure: Structure, layout: type[ctypes.Structure]) -> Iterator[str]:
    name = structure.name
    yield f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(layout)}, "struct {name}: size");'
    for field in structure.fields:
        offset = getattr(layout, field.name).offset
        condition = f"__builtin_offsetof(struct {name}, {field.name}) == {offset}"
        yield f'_Static_assert({condition}, "struct {name}: {field.name}");'
    yield ""


def ctypes_of(header: Header) -> dict[str, type[ctypes.Structure]]:
    """A ctypes structure for each structure of the header.

    Raises HeaderError where ctypes and the header's reader disagree: one of them is wrong about the platform.
    """
    types = dict[str, type[ctypes.Structure]]()
    for structure in header.structures:
        members = []
        for field in structure.fields:
            element = CTYPES.get(field.type) or types[field.type.removeprefix("struct ")]
            members.append((field.name, element * field.count if field.count_name else element))
        layout = type(camel_case(structure.name), (ctypes.Structure,), {"_fields_": members})
        for field in structure.fields:
            if getattr(layout, field.name).offset != field.offset:
                raise HeaderError(f"struct {structure.name}: {field.name}: ctypes lays it out differently")
        types[structure.name] = layout
    return types


def check_map_words(header: Header) -> None:
    """Raises HeaderError where the map table has a type or a flag that agent/bulkhead/abi/maps.py does not know."""
    words = runpy.run_path(str(MAP_WORDS))  # not imported: the package needs what is generated here
    for definition in header.maps:
        if definition.type not in words["MapType"].__members__:
            raise HeaderError(f"map {definition.name}: MapType.{definition.type} is missing in {MAP_WORDS.name}")
        for flag in definition.flags:
            if flag not in words["MapFlag"].__members__:
                raise HeaderError(f"map {definition.name}: MapFlag.{flag} is missing in {MAP_WORDS.name}")


def main() -> int:
    check = check_asked(__doc__)
    try:
        header = read_header("".join(part.read_text(encoding="utf-8") for part in PARTS))
        check_map_words(header)
        files = {PYTHON: render_python(header), ASSERTIONS: render_assertions(header)}
    except HeaderError as error:
        print(f"{HEADER.relative_to(ROOT)}: {error}; nothing was written", file=sys.stderr)
        return 1
    return settle(files, check=check, remedy=REMEDY)


if __name__ == "__main__":
    sys.exit(main())
