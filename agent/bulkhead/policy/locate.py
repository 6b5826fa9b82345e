"""YAML to plain data, with the line of every field. Bounded: what would explode is refused before it does.

PyYAML's own loader forgets where things stood and lets a later key replace an earlier one. Next step: `policy.parse`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

DOCUMENT_BYTES = 1 << 20  # as much as etcd takes of one object
DEPTH = 64  # a policy has 10 levels; an alias to what contains it has no end
NODES = 200_000  # of one document after its aliases are followed: a policy of 10,000 rules has half of that

Path = tuple[str | int, ...]


class Refused(Exception):  # never leaves this package
    """A document that is not read; `line` counts from 1."""

    def __init__(self, message: str, line: int, remedy: str = "", path: Path = ()) -> None:
        self.message, self.line, self.remedy, self.path = message, line, remedy, path
        super().__init__(message)


@dataclass
class Located:
    """A document as plain data, the line it begins on, and the line of every path into it."""

    value: Any
    line: int
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int:
        """The line of a field, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, self.line)


def documents(text: str) -> Iterator[Located | Refused]:
    """Every document of a YAML stream; after a syntax error the rest of the stream is lost."""
    loader = yaml.CSafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield _locate(loader, node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        yield Refused(f"is not YAML: {error.problem or error}", line, "documents after this line were not read")
    except yaml.YAMLError as error:
        yield Refused(f"is not YAML: {error}", 1)
    finally:
        loader.dispose()


def _locate(loader: yaml.CSafeLoader, node: yaml.Node) -> Located | Refused:
    size = node.end_mark.index - node.start_mark.index
    line = node.start_mark.line + 1
    if size > DOCUMENT_BYTES:
        return Refused(f"has {size} bytes, the limit is {DOCUMENT_BYTES}", line, "split it into several policies")
    located = Located(None, line)
    try:
        located.value = _Builder(loader, located).build(node, ())
    except Refused as refused:
        return refused
    return located


class _Builder:
    """Builds one document's data."""

    def __init__(self, loader: yaml.CSafeLoader, located: Located) -> None:
        self._loader, self._located = loader, located
        self._nodes = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        """The node's data; its lines are noted on the way."""
        self._nodes += 1
        line = node.start_mark.line + 1
        if self._nodes > NODES:
            raise Refused(f"has over {NODES} values after its aliases are followed", line, "write it without aliases")
        if len(path) > DEPTH:
            raise Refused(f"is nested over {DEPTH} levels deep", line, path=path[:3])
        self._located.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, index)) for index, child in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise Refused(f"has a value that cannot be read: {error}", line, path=path) from error

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key == "<<":
                raise Refused("has a key that is not a plain word", line, path=path)
            if key in built:
                raise Refused(f"has {key} twice", line, "keep one of them", (*path, key))
            self._located.lines[*path, key] = line
            built[key] = self.build(value_node, (*path, key))
        return built
