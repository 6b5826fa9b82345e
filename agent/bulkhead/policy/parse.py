"""Policy documents from text: every good one, and everything that is wrong with the others.

A bad document is refused whole; others, also in the same file, are not touched by it. Next step: `policy.resolve`.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bulkhead.errors import Problem, UsageError
from bulkhead.policy.locate import Fault, Located, documents
from bulkhead.policy.model import API_VERSION, KINDS, Policy
from bulkhead.policy.refusal import did_you_mean
from bulkhead.policy.support import unsupported
from bulkhead.policy.wording import describe

# What the API server adds to an object's metadata, and what people put there for themselves.
SERVER_SIDE = frozenset({
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
    "generateName", "generation", "labels", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
})  # fmt: skip
FieldPath = tuple[str | int, ...]
LIST_KINDS = frozenset({"List", "SecurityPolicyList", "ClusterSecurityPolicyList"})


@dataclass(frozen=True)
class Place:
    """Where a policy was read. `line_of` gives the line of a field of its document."""

    file: str
    line: int
    line_of: Callable[[FieldPath], int] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Parsed:
    """Good policies, each with its place, and problems. `places[i]` belongs to `policies[i]`."""

    policies: tuple[Policy, ...]
    problems: tuple[Problem, ...]
    places: tuple[Place, ...] = ()


@dataclass
class _Reading:
    """What was found so far, over all files."""

    check_support: bool
    policies: list[Policy] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: dict[tuple[str, str, str], Place] = field(default_factory=dict)


def parse_text(text: str, file: str, *, check_support: bool = True) -> Parsed:
    """The documents in a text; `file` names it in problems.

    `check_support` also refuses what is valid but not enforced yet (`policy.support`).
    """
    reading = _Reading(check_support)
    _read_text(reading, text, file)
    return _parsed(reading)


def parse_files(paths: Iterable[Path], *, check_support: bool = True) -> Parsed:
    """The documents in some files, `-` for standard input. Raises `UsageError` for one that cannot be opened."""
    reading = _Reading(check_support)
    for path in paths:
        _read_text(reading, _text_of(path), str(path))
    return _parsed(reading)


def parse_object(value: Mapping[str, Any], source: str, *, check_support: bool = True) -> Parsed:
    """A document that is plain data already, as the API server gives it; `source` stands in for its file."""
    reading = _Reading(check_support)
    _read_document(reading, _Document(Located(value, 0)), value, source)
    return _parsed(reading)


def _parsed(reading: _Reading) -> Parsed:
    return Parsed(tuple(reading.policies), tuple(reading.problems), tuple(reading.places))


def _text_of(path: Path) -> str:
    """The text, in which bytes that are not UTF-8 are left for their document to be refused with."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; what is enforced already goes on") from error
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")


def _read_text(reading: _Reading, text: str, file: str) -> None:
    empty = True
    for located in documents(text):
        if located.complete and located.value is None and not located.faults:
            continue
        unfolded = list(_unfold(located)) if located.complete else []
        for document, value in unfolded:
            _read_document(reading, document, value, file)
        if not unfolded:
            reading.problems += _faults(_Document(located, (), located.faults), file, "")
        empty = empty and not unfolded and not located.faults
    if empty:
        message = "has no policy in it"
        reading.problems.append(Problem(file, 0, "", message, "write apiVersion, kind, metadata and spec"))


@dataclass(frozen=True)
class _Document:
    """A document within a located one, for the lines of its fields; `faults` are those of this document alone."""

    located: Located
    prefix: FieldPath = ()
    faults: Sequence[Fault] = ()

    def line_of(self, path: FieldPath) -> int:
        """The line of a field of this document."""
        return self.located.line_of((*self.prefix, *path))


def _unfold(located: Located) -> Iterator[tuple[_Document, Any]]:
    """The documents in one: itself, or the items of a `List`. None of a List with faults around its items."""
    value = located.value
    listed = isinstance(value, dict) and _text(value.get("kind")) in LIST_KINDS and isinstance(value.get("items"), list)
    if not listed:
        yield _Document(located, (), located.faults), value
        return
    items: dict[FieldPath, Any] = {("items", index): item for index, item in enumerate(value["items"])}
    faults: dict[FieldPath, list[Fault]] = defaultdict(list)
    for fault in located.faults:
        faults[fault.path[:2]].append(fault)
    if faults.keys() <= items.keys():
        yield from ((_Document(located, prefix, faults[prefix]), item) for prefix, item in items.items())


def _read_document(reading: _Reading, document: _Document, value: Any, file: str) -> None:
    title = _title(value)
    problems = _faults(document, file, title)
    problems += _problems_of_head(document, value, file)
    policy = None
    if not any(problem.field in ("", "kind", "apiVersion") for problem in problems):
        policy, found = _validated(document, value, file, title)
        problems += found
    if policy is not None and not problems:
        place = Place(file, document.line_of(()), document.line_of)
        problems += _duplicates(reading, policy, place, document)
        problems += _unsupported(policy, document, file, title) if reading.check_support else ()
        if not problems:
            reading.policies.append(policy)
            reading.places.append(place)
    reading.problems += sorted(problems, key=lambda problem: problem.line)


def _faults(document: _Document, file: str, title: str) -> list[Problem]:
    """What is wrong with a document as YAML."""
    within = len(document.prefix)
    return [
        Problem(file, fault.line, _field(fault.path[within:]), fault.message, fault.remedy, title)
        for fault in document.faults
    ]


def _validated(document: _Document, value: Any, file: str, title: str) -> tuple[Policy | None, list[Problem]]:
    """The policy, or everything that its model has to say. A field without a value is a fault, not an absence."""
    empty: list[FieldPath] = []
    kept = _without_empty(_without_server_side(value), (), empty)
    problems = [
        Problem(file, document.line_of(path), _field(path), "is empty", "write a value, or leave the field out", title)
        for path in empty
    ]
    if value["kind"] == "ClusterSecurityPolicy" and "namespace" in (value.get("metadata") or ()):
        path = ("metadata", "namespace")
        message, remedy = "a ClusterSecurityPolicy has no namespace", "leave it out, or write kind: SecurityPolicy"
        problems.append(Problem(file, document.line_of(path), _field(path), message, remedy, title))
        empty.append(path)
    try:
        return KINDS[value["kind"]].model_validate(kept), problems
    except ValidationError as error:
        told = _with_what_is_around(empty)
        found = [describe(each) for each in error.errors(include_url=False)]
        return None, problems + [_problem(document, file, title, each) for each in found if each[0] not in told]


def _with_what_is_around(paths: list[FieldPath]) -> set[FieldPath]:
    """The paths, and the fields that hold them: what is wrong with those may well come of it."""
    return {path[:end] for path in paths for end in range(1, len(path) + 1)}


def _without_empty(value: Any, path: FieldPath, empty: list[FieldPath]) -> Any:
    """The value without the fields that are null, whose paths are noted in `empty`."""
    if isinstance(value, list):
        return [_without_empty(entry, (*path, index), empty) for index, entry in enumerate(value)]
    if not isinstance(value, dict):
        return value
    empty += [(*path, key) for key, part in value.items() if part is None]
    return {key: _without_empty(part, (*path, key), empty) for key, part in value.items() if part is not None}


def _unsupported(policy: Policy, document: _Document, file: str, title: str) -> list[Problem]:
    return [_problem(document, file, title, found) for found in unsupported(policy)]


def _problems_of_head(document: _Document, value: Any, file: str) -> Iterator[Problem]:
    line = document.line_of(())
    if not isinstance(value, dict):
        yield Problem(file, line, "", "is not a policy", "write apiVersion, kind, metadata and spec")
        return
    version, kind = _text(value.get("apiVersion")), _text(value.get("kind"))
    if kind not in KINDS:
        remedy = did_you_mean(kind, list(KINDS)) if kind else f"write kind: {' or '.join(KINDS)}"
        message = f"{kind:.80} is not a kind of policy" if kind else "is missing"
        yield Problem(file, document.line_of(("kind",)), "kind", message, remedy, _title(value))
    elif version != API_VERSION:
        message = f"{version:.80} is not a version that is known" if version else "is missing"
        line = document.line_of(("apiVersion",))
        yield Problem(file, line, "apiVersion", message, f"write {API_VERSION}", _title(value))


def _text(value: Any) -> str:
    """A value of the head as text, whatever it is; nothing for nothing."""
    return "" if value is None else str(value)


def _without_server_side(value: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: part for key, part in value.items() if key != "status"}
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"] = {key: part for key, part in kept["metadata"].items() if key not in SERVER_SIDE}
    return kept


def _problem(document: _Document, file: str, title: str, found: tuple[FieldPath, str, str]) -> Problem:
    path, message, remedy = found
    return Problem(file, document.line_of(path), _field(path), message, remedy, title)


def _duplicates(reading: _Reading, policy: Policy, place: Place, document: _Document) -> Iterator[Problem]:
    identity = (policy.kind, policy.namespace, policy.name)
    first = reading.seen.setdefault(identity, place)
    if first is not place:
        title = f"{policy.namespace}/{policy.name}".lstrip("/")
        message = f"{policy.kind} {title} was already given at {first.file}:{first.line}"
        line = document.line_of(("metadata", "name"))
        yield Problem(place.file, line, "metadata.name", message, "rename or remove one", title)


def _title(value: Any) -> str:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    if not isinstance(metadata, dict):
        return ""
    namespace = metadata.get("namespace", "default") if value.get("kind") == "SecurityPolicy" else ""
    return f"{_text(namespace):.63}/{_text(metadata.get('name')):.253}".strip("/")


def _field(path: FieldPath) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path if part != "")
    return text.lstrip(".")
