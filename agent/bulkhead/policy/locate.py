"""YAML to plain data, with the line of every field. Bounded: what would explode is refused before it does.

PyYAML's own loader forgets where things stood, lets a later key replace an earlier one, and recurses as deep as the
text says, which ends the program. So documents are built here from the parser's events, one at a time: what is wrong
with one says nothing about the next. Next step: `policy.parse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

DOCUMENT_BYTES = 1 << 20  # etcd takes 1.5 MiB of one object, its annotations and status included
DEPTH = 64  # a policy has 12 levels
NODES = 200_000  # of one document after its aliases are followed: a policy of 10,000 rules has half of that

Path = tuple[str | int, ...]

# Three dashes at the beginning of a line end a document wherever they stand, also within a scalar.
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_CONTENT = re.compile(r"^(?!%|\.\.\.(?:\s|$))[ \t]*[^\s#]", re.MULTILINE)
_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_TABS = re.compile(r"^\t+", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"
_COLLECTIONS = (None, "!", f"{_TAG}map", f"{_TAG}seq")


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with a document as YAML; `line` counts from 1."""

    message: str
    line: int
    remedy: str = ""
    path: Path = ()


@dataclass
class Located:
    """A document as plain data, the line it begins on, the line of every path into it, and its faults.

    `complete` is False where a fault ended reading early: then `value` is None.
    """

    value: Any
    line: int
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    complete: bool = True

    def line_of(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


class _Stop(Exception):  # never leaves this module
    """Reading cannot go on after this fault."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault.message)


def documents(text: str) -> Iterator[Located]:
    """Every document of a YAML stream, the broken ones with their faults. Empty ones are left out."""
    text = text.removeprefix("\ufeff")
    starts = [0, *(found.start() for found in _SEPARATOR.finditer(text))]
    line = 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end]
        if _CONTENT.search(part.removeprefix("---")):
            yield from _read(part, line)
        line += part.count("\n")


def _read(part: str, first_line: int) -> Iterator[Located]:
    """The document (after a line of three dots: documents) of one part of a stream that begins at `first_line`."""
    if part.removeprefix("---").lstrip().startswith("{"):
        part = _json_as_yaml(part)
    try:
        data = part.encode()
    except UnicodeEncodeError as error:
        yield _broken(Fault("has bytes that are not UTF-8", first_line + part.count("\n", 0, error.start)))
        return
    if len(data) > DOCUMENT_BYTES:
        message = f"has {len(data)} bytes, the limit is {DOCUMENT_BYTES}"
        yield _broken(Fault(message, first_line, "split it into several policies"))
        return
    events = _Events(data, first_line)
    try:
        while events.next_document():
            yield _Builder(events).document()
    except _Stop as stop:
        yield _broken(stop.fault)


def _json_as_yaml(part: str) -> str:
    """JSON is YAML but for two things: characters written as pairs of escapes, and tabs to indent."""

    def character(found: re.Match[str]) -> str:
        pair = bytes.fromhex(found[2] + found[3])
        return found[1] + pair.decode("utf-16-be")

    return _SURROGATES.sub(character, _TABS.sub(lambda tabs: " " * len(tabs[0]), part))


def _broken(fault: Fault) -> Located:
    return Located(None, fault.line, faults=[fault], complete=False)


class _Events:
    """What the parser sees, with syntax errors as `_Stop`, and lines counted within the whole stream."""

    def __init__(self, data: bytes, first_line: int) -> None:
        self._data, self._first_line = data, first_line
        self._parser: Iterator[yaml.Event] = iter(yaml.parse(data, Loader=yaml.CSafeLoader))

    def next(self) -> yaml.Event:
        """The next event."""
        try:
            return next(self._parser)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = self._first_line + (mark.line if mark else 0)
            raise _Stop(Fault(f"is not YAML: {error.problem or error.context}", line)) from error
        except yaml.reader.ReaderError as error:
            line = self._first_line + self._data.count(b"\n", 0, error.position)
            raise _Stop(Fault(f"is not YAML: {error.reason}", line)) from error

    def next_document(self) -> bool:
        """Moves to the first event of the next document; False at the end."""
        while True:
            event = self.next()
            if isinstance(event, yaml.DocumentStartEvent):
                return True
            if isinstance(event, yaml.StreamEndEvent):
                return False

    def line_of(self, event: yaml.Event) -> int:
        """The line that an event begins on."""
        return self._first_line + (event.start_mark.line if event.start_mark else 0)


class _Built(NamedTuple):
    """A value, how many values it holds with its aliases followed, and how deep it is."""

    value: Any
    nodes: int
    height: int


class _Builder:
    """Builds one document's data."""

    _resolver = Resolver()
    _constructor = SafeConstructor()

    def __init__(self, events: _Events) -> None:
        self._events = events
        self._located = Located(None, 0)
        self._anchors: dict[str, _Built] = {}
        self._nodes = 0

    def document(self) -> Located:
        """The document that the events stand before."""
        event = self._events.next()
        self._located.line = self._events.line_of(event)
        self._located.value = self._build(event, ()).value
        return self._located

    def _build(self, event: yaml.Event, path: Path) -> _Built:
        """The value that begins with an event; its line is noted on the way."""
        line = self._events.line_of(event)
        self._located.lines.setdefault(path, line)
        before = self._nodes
        if isinstance(event, yaml.AliasEvent):
            built = self._aliased(event, line, path)
        else:
            built = self._fresh(event, line, path)
            built = built._replace(nodes=self._nodes - before)
            if isinstance(event, yaml.NodeEvent) and event.anchor:
                self._anchors[event.anchor] = built
        return built

    def _count(self, nodes: int, depth: int, line: int, path: Path) -> None:
        self._nodes += nodes
        if self._nodes > NODES:
            message = f"has over {NODES} values once its aliases are followed"
            raise _Stop(Fault(message, line, "write it without aliases, or as several policies"))
        if depth > DEPTH:
            raise _Stop(Fault(f"is nested over {DEPTH} levels deep", line, path=path[:3]))

    def _aliased(self, event: yaml.AliasEvent, line: int, path: Path) -> _Built:
        """What an anchor before stands for: the same data, not a copy, but counted as one."""
        built = self._anchors.get(event.anchor or "")
        if built is None:
            raise _Stop(Fault(f"*{event.anchor} stands for nothing that ends before it", line, path=path))
        self._count(built.nodes, len(path) + built.height, line, path)
        return built

    def _fresh(self, event: yaml.Event, line: int, path: Path) -> _Built:
        self._count(1, len(path), line, path)
        if isinstance(event, yaml.ScalarEvent):
            return _Built(self._scalar(event, line, path), 1, 0)
        if isinstance(event, yaml.CollectionStartEvent) and event.tag not in _COLLECTIONS:
            self._fault(f"has a tag that is not known: {event.tag}", line, "leave it out", path)
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)

    def _sequence(self, path: Path) -> _Built:
        built: list[Any] = []
        height = 0
        while not isinstance(event := self._events.next(), yaml.SequenceEndEvent):
            entry = self._build(event, (*path, len(built)))
            built.append(entry.value)
            height = max(height, entry.height + 1)
        return _Built(built, 0, height)

    def _mapping(self, path: Path) -> _Built:
        built: dict[str, Any] = {}
        height = 0
        while not isinstance(event := self._events.next(), yaml.MappingEndEvent):
            line = self._events.line_of(event)
            key = self._build(event, (*path, "")).value
            known = isinstance(key, str) and key != "<<" and key not in built
            if isinstance(key, str) and key != "<<":
                self._located.lines.setdefault((*path, key), line)
            entry = self._build(self._events.next(), (*path, key) if known else (*path, ""))
            height = max(height, entry.height + 1)
            if known:
                built[key] = entry.value
            else:
                self._bad_key(key, line, path)
        return _Built(built, 0, height)

    def _bad_key(self, key: Any, line: int, path: Path) -> None:
        if key == "<<":
            self._fault("has a merge key (<<)", line, "write the fields out", path)
        elif isinstance(key, str):
            self._fault("stands here twice", line, "keep one of them", (*path, key))
        else:
            self._fault("has a key that is not text", line, "put the key into quotes", path)

    def _scalar(self, event: yaml.ScalarEvent, line: int, path: Path) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = str(self._resolver.resolve(yaml.ScalarNode, event.value, event.implicit))  # type: ignore[no-untyped-call]
        try:
            return self._plain(tag, event.value)
        except (ValueError, KeyError, OverflowError):
            self._fault(f"has a value that is not {tag.removeprefix(_TAG)}", line, "put text into quotes", path)
            return event.value

    def _plain(self, tag: str, text: str) -> Any:
        """A scalar as JSON would have it. Dates and numbers to base 60 stay text, as people mean them."""
        node = yaml.ScalarNode(tag, text)
        match tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return self._constructor.construct_yaml_bool(node)
            case "int" if ":" not in text:
                return self._constructor.construct_yaml_int(node)
            case "float" if ":" not in text:
                return self._constructor.construct_yaml_float(node)
            case "str" | "int" | "float" | "timestamp" | "merge" | "value":
                return text
        raise ValueError(tag)

    def _fault(self, message: str, line: int, remedy: str, path: Path) -> None:
        self._located.faults.append(Fault(message, line, remedy, path))
