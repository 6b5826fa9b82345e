"""Reads probes/include/abi.h into plain data: constants, enumerations, structures with their layout, and the map table.

The header keeps to a small part of C on purpose, so that no C preprocessor is needed: `#define NAME LITERAL`, the
include guard, one X-macro table, enumerations and structures of fixed-width integers. Anything else is refused, with
its line. Next step: `tools.gen_abi` writes Python structures and C assertions from what is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pycparser import c_ast, c_parser

INTEGERS = {"__u8": 1, "__u16": 2, "__u32": 4, "__u64": 8}
MAP_TABLE = "BULKHEAD_MAPS"
MAP_COLUMNS = 7

_TYPEDEFS = " ".join(f"typedef unsigned {width} {name};" for name, width in (
    ("__u8", "char"), ("__u16", "short"), ("__u32", "int"), ("__u64", "long long")
))  # fmt: skip
_DEFINE = re.compile(r"#define[ \t]+(\w+)(\(\w+\))?[ \t]*(.*)")
_LITERAL = re.compile(r"(0x[0-9a-fA-F]+|\d+)[uUlL]*")
_MEMBER = re.compile(r"\s*(\w+)\s+(\w+)\s*[\[;]")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


class HeaderError(Exception):
    """The header says something that cannot cross the boundary safely; the message says where and what."""


@dataclass(frozen=True)
class Constant:
    """`#define NAME VALUE`, with the comment that stands on its line."""

    name: str
    value: int
    comment: str


@dataclass(frozen=True)
class Enumeration:
    """`enum name`; members without the prefix that C needs, in order."""

    name: str
    members: tuple[Constant, ...]


@dataclass(frozen=True)
class Field:
    """One member of a structure. `type` is a fixed-width integer or `struct NAME`; `count` is 0 for a scalar.

    `offset` and `size` are bytes; `count_name` is how the header spells an array's length.
    """

    name: str
    type: str
    count: int
    count_name: str
    offset: int
    size: int
    comment: str


@dataclass(frozen=True)
class Structure:
    """`struct name`; `size` and `alignment` are bytes."""

    name: str
    fields: tuple[Field, ...]
    size: int
    alignment: int


@dataclass(frozen=True)
class Map:
    """One row of the map table, sizes in bytes (0 for void), `flags` as names without their BPF_F_ prefix."""

    identifier: int
    name: str
    type: str
    key_bytes: int
    value_bytes: int
    entries: str
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Header:
    """Everything that crosses the boundary."""

    constants: tuple[Constant, ...]
    enumerations: tuple[Enumeration, ...]
    structures: tuple[Structure, ...]
    maps: tuple[Map, ...]


@dataclass(frozen=True)
class _Source:
    """The header's text with comments and directives blanked out, line numbers kept."""

    text: str

    @cached_property
    def bare(self) -> str:
        return _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), self.text)

    @cached_property
    def _comments(self) -> dict[int, str]:
        """By line, counted from 1: what follows code on that line."""
        found = {}
        for comment in _COMMENT.finditer(self.text):
            before = self.text[: comment.start()]
            if before[before.rfind("\n") + 1 :].strip():
                body = comment[0].removeprefix("/*").removesuffix("*/")
                found[before.count("\n") + 1] = " ".join(body.split())
        return found

    def comment(self, line: int) -> str:
        return self._comments.get(line, "")

    def directives(self) -> Iterator[tuple[int, str]]:
        """Line number and text of each preprocessor line, continuations joined."""
        joined = re.sub(r"\\\n", "\\\\\0", self.bare)
        line = 1
        for text in joined.split("\n"):
            if text.lstrip().startswith("#"):
                yield line, " ".join(text.replace("\\\0", " ").split())
            line += 1 + text.count("\0")

    @cached_property
    def code(self) -> str:
        """What is left for a C parser."""
        joined = re.sub(r"\\\n", "\\\\\0", self.bare)
        lines = ("\0" * text.count("\0") if text.lstrip().startswith("#") else text for text in joined.split("\n"))
        return "\n".join(lines).replace("\0", "\n")


def read_header(text: str) -> Header:
    """The header whose text is given.

    Raises HeaderError for implicit padding, an unknown type or constant, an enumerator without its enumeration's
    prefix, a row of the map table that is incomplete, and a directive that is neither a constant nor the table.
    """
    source = _Source(text)
    constants, table = _read_directives(source)
    values = {constant.name: constant.value for constant in constants}
    unit = _parse(source)
    enumerations, structures = [], dict[str, Structure]()
    for declaration in unit.ext:
        match declaration:
            case c_ast.Typedef():
                continue
            case c_ast.Decl(type=c_ast.Enum() as enumeration):
                enumerations.append(_read_enumeration(enumeration, source))
            case c_ast.Decl(type=c_ast.Struct() as structure):
                structures[structure.name] = _read_structure(structure, source, values, structures)
            case _:
                raise HeaderError(f"line {declaration.coord.line}: only enumerations and structures may stand here")
    maps = tuple(_read_map(row, values, structures) for row in table)
    return Header(constants, tuple(enumerations), tuple(structures.values()), maps)


def _parse(source: _Source) -> c_ast.FileAST:
    for number, line in enumerate(source.code.split("\n"), start=1):
        member = _MEMBER.match(line)
        if member and member[1] not in INTEGERS:  # the parser would not say which word it stumbled over
            raise HeaderError(f"line {number}: {member[2]}: unknown type {member[1]}")
    try:
        return c_parser.CParser().parse(_TYPEDEFS + source.code)
    except c_parser.ParseError as error:
        raise HeaderError(f"not C that is understood here: {error}") from error


def _read_directives(source: _Source) -> tuple[tuple[Constant, ...], tuple[str, ...]]:
    """The constants, and the rows of the map table as text."""
    constants, rows = [], tuple[str, ...]()
    for line, text in source.directives():
        if text.startswith(("#ifndef ", "#endif")):
            continue
        definition = _DEFINE.fullmatch(text)
        if definition is None:
            raise HeaderError(f"line {line}: {text}: not a definition")
        name, parameters, body = definition.groups()
        if name == MAP_TABLE:
            rows = tuple(re.findall(r"X\(([^()]*)\)", body))
        elif body:
            constants.append(Constant(name, _literal(body, f"line {line}: {name}"), source.comment(line)))
        elif parameters or not name.endswith("_H"):
            raise HeaderError(f"line {line}: {name} has no value")
    return tuple(constants), rows


def _literal(text: str, where: str) -> int:
    literal = _LITERAL.fullmatch(text)
    if literal is None:
        raise HeaderError(f"{where}: {text} is not an integer literal")
    return int(literal[1], 0)


def _number(text: str, values: Mapping[str, int], where: str) -> int:
    return values[text] if text in values else _literal(text, where)


def _read_enumeration(node: c_ast.Enum, source: _Source) -> Enumeration:
    prefix = f"{node.name.upper()}_"
    members = []
    for member in node.values.enumerators:
        where = f"enum {node.name}: {member.name}"
        if not member.name.startswith(prefix):
            raise HeaderError(f"{where} does not start with {prefix}")
        if not isinstance(member.value, c_ast.Constant):
            raise HeaderError(f"{where} needs a literal value")
        value = _literal(member.value.value, where)
        members.append(Constant(member.name.removeprefix(prefix), value, source.comment(member.coord.line)))
    return Enumeration(node.name, tuple(members))


def _read_structure(
    node: c_ast.Struct, source: _Source, values: Mapping[str, int], known: Mapping[str, Structure]
) -> Structure:
    fields, end, alignment = [], 0, 1
    for member in node.decls or ():
        where = f"struct {node.name}: {member.name}"
        kind, count_name = _type_of(member.type, where)
        size, field_alignment = _size_of(kind, known, where)
        if end % field_alignment:
            missing = field_alignment - end % field_alignment
            raise HeaderError(f"{where}: {missing} bytes of implicit padding before it: write them as a field")
        count = _number(count_name, values, where) if count_name else 0
        total = size * count if count_name else size
        fields.append(Field(member.name, kind, count, count_name, end, total, source.comment(member.coord.line)))
        end += total
        alignment = max(alignment, field_alignment)
    if not fields:
        raise HeaderError(f"struct {node.name} has no fields")
    if end % alignment:
        missing = alignment - end % alignment
        raise HeaderError(
            f"struct {node.name}: {missing} bytes of implicit padding after {fields[-1].name}: write them as a field"
        )
    return Structure(node.name, tuple(fields), end, alignment)


def _type_of(node: c_ast.Node, where: str) -> tuple[str, str]:
    """The element's type, and the array's length as the header spells it ("" for a scalar)."""
    match node:
        case c_ast.ArrayDecl(type=element, dim=c_ast.ID(name=length) | c_ast.Constant(value=length)):
            kind, inner = _type_of(element, where)
            if inner:
                raise HeaderError(f"{where}: arrays of arrays are not part of the boundary")
            return kind, str(length)
        case c_ast.TypeDecl(type=c_ast.IdentifierType(names=names)):
            return " ".join(names), ""
        case c_ast.TypeDecl(type=c_ast.Struct(name=name, decls=None)):
            return f"struct {name}", ""
        case _:
            raise HeaderError(f"{where}: only integers, structures and arrays of them cross the boundary")


def _size_of(kind: str, known: Mapping[str, Structure], where: str) -> tuple[int, int]:
    """Size and alignment in bytes."""
    if kind in INTEGERS:
        return INTEGERS[kind], INTEGERS[kind]
    structure = known.get(kind.removeprefix("struct ")) if kind.startswith("struct ") else None
    if structure is None:
        raise HeaderError(f"{where}: unknown type {kind}")
    return structure.size, structure.alignment


def _read_map(row: str, values: Mapping[str, int], structures: Mapping[str, Structure]) -> Map:
    cells = [cell.strip() for cell in row.split(",")]
    if len(cells) != MAP_COLUMNS:
        raise HeaderError(f"{MAP_TABLE}: X({row}) has {len(cells)} columns, not {MAP_COLUMNS}")
    identifier, name, kind, key, value, entries, flags = cells
    where = f"map {name}"
    sizes = [0 if cell == "void" else _size_of(cell, structures, where)[0] for cell in (key, value)]
    _number(entries, values, where)
    names = tuple(flag.strip() for flag in flags.split("|")) if flags != "0" else ()
    return Map(_literal(identifier, where), name, kind, sizes[0], sizes[1], entries, names)
