"""Policy documents from text: every good one, and everything that is wrong with the others.

A bad document is refused whole; others, also in the same file, are not touched by it. Next step: `policy.resolve`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bulkhead.errors import Problem, UsageError
from bulkhead.policy.locate import Located, Refused, documents
from bulkhead.policy.model import API_VERSION, KINDS, Policy
from bulkhead.policy.refusal import did_you_mean
from bulkhead.policy.support import unsupported
from bulkhead.policy.wording import describe

# What the API server adds to an object's metadata, and what people put there for themselves.
SERVER_SIDE = frozenset({
    "annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers",
    "generateName", "generation", "labels", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
})  # fmt: skip
LIST_KINDS = frozenset({"List", "SecurityPolicyList", "ClusterSecurityPolicyList"})


@dataclass(frozen=True)
class Place:
    """Where a policy was read."""

    file: str
    line: int


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
    """The documents in some files, `-` for standard input. Raises `UsageError` for one that cannot be read."""
    reading = _Reading(check_support)
    for path in paths:
        _read_text(reading, _text_of(path), str(path))
    return _parsed(reading)


def _parsed(reading: _Reading) -> Parsed:
    return Parsed(tuple(reading.policies), tuple(reading.problems), tuple(reading.places))


def _text_of(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; what is enforced already goes on") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; what is enforced already goes on") from error


def _read_text(reading: _Reading, text: str, file: str) -> None:
    for found in documents(text):
        if isinstance(found, Refused):
            where = _field(found.path)
            reading.problems.append(Problem(file, found.line, where, found.message, found.remedy))
        elif found.value is not None:
            for document, value in _unfold(found):
                _read_document(reading, document, value, file)


def _unfold(found: Located) -> Iterator[tuple[_Document, Any]]:
    """The documents in one: the items of a `List`, or itself."""
    value = found.value
    if isinstance(value, dict) and value.get("kind") in LIST_KINDS and isinstance(value.get("items"), list):
        for index, item in enumerate(value["items"]):
            yield _Document(found, ("items", index)), item
    else:
        yield _Document(found, ()), value


@dataclass(frozen=True)
class _Document:
    """A document within a located one, for the lines of its fields."""

    located: Located
    prefix: tuple[str | int, ...]

    def line_of(self, path: tuple[str | int, ...]) -> int:
        """The line of a field of this document."""
        return self.located.line_of((*self.prefix, *path))


def _read_document(reading: _Reading, document: _Document, value: Any, file: str) -> None:
    problems = list(_problems_of_head(document, value, file))
    if problems:
        reading.problems += problems
        return
    try:
        policy = KINDS[value["kind"]].model_validate(_without_server_side(value))
    except ValidationError as error:
        reading.problems += [_problem(document, file, _title(value), each) for each in error.errors(include_url=False)]
        return
    place = Place(file, document.line_of(()))
    problems = list(_duplicates(reading, policy, place, document))
    if reading.check_support:
        problems += [
            Problem(file, document.line_of(path), _field(path), message, remedy, _title(value))
            for path, message, remedy in unsupported(policy)
        ]
    reading.problems += problems
    if not problems:
        reading.policies.append(policy)
        reading.places.append(place)


def _problems_of_head(document: _Document, value: Any, file: str) -> Iterator[Problem]:
    line = document.line_of(())
    if not isinstance(value, dict):
        yield Problem(file, line, "", "is not a policy: a mapping with apiVersion, kind, metadata and spec")
        return
    version, kind = value.get("apiVersion"), value.get("kind")
    if kind not in KINDS:
        remedy = did_you_mean(str(kind), list(KINDS)) if kind else f"write kind: {' or '.join(KINDS)}"
        yield Problem(file, document.line_of(("kind",)), "kind", f"{kind or 'nothing'} is not a kind of policy", remedy)
    elif version != API_VERSION:
        message = f"{version or 'nothing'} is not a version that is known"
        yield Problem(file, document.line_of(("apiVersion",)), "apiVersion", message, f"write {API_VERSION}")


def _without_server_side(value: dict[str, Any]) -> dict[str, Any]:
    kept = {key: part for key, part in value.items() if key != "status"}
    if isinstance(kept.get("metadata"), dict):
        kept["metadata"] = {key: part for key, part in kept["metadata"].items() if key not in SERVER_SIDE}
    return kept


def _problem(document: _Document, file: str, title: str, error: Any) -> Problem:
    path, message, remedy = describe(error)
    return Problem(file, document.line_of(path), _field(path), message, remedy, title)


def _duplicates(reading: _Reading, policy: Policy, place: Place, document: _Document) -> Iterator[Problem]:
    identity = (policy.kind, policy.namespace, policy.name)
    first = reading.seen.setdefault(identity, place)
    if first is not place:
        title = f"{policy.namespace}/{policy.name}".lstrip("/")
        message = f"{policy.kind} {title} was already given at {first.file}:{first.line}"
        line = document.line_of(("metadata", "name"))
        yield Problem(place.file, line, "metadata.name", message, "rename or remove one", title)


def _title(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    if not isinstance(metadata, dict):
        return ""
    namespace = metadata.get("namespace", "default") if value.get("kind") == "SecurityPolicy" else ""
    return f"{namespace}/{metadata.get('name', '')}".lstrip("/")


def _field(path: tuple[str | int, ...]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".")
