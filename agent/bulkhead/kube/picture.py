"""Objects as lists and watches carry them: the picture that the first events of a watch add up to, versions, kinds.

Pure. Next step: `kube.reflector`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bulkhead.kube.errors import no_answer
from bulkhead.kube.stream import Event

Object = dict[str, Any]

END_MARK = "k8s.io/initial-events-end"  # the annotation of the bookmark after the last object of the first picture


class Picture:
    """Collects what a watch begins with. Objects may change and go while they are being told."""

    def __init__(self, take: Callable[[Object], Object]) -> None:
        """`take` gives what is kept of an object."""
        self._take = take
        self._objects: dict[tuple[str, str], Object] = {}

    def take(self, event: Event) -> str:
        """The version at which it is complete; empty as long as it is not. Raises `Unreachable` for nonsense."""
        kind, value = event["type"], event["object"]
        if kind == "BOOKMARK":
            annotations = value.get("metadata", {}).get("annotations") or {}
            return version_of(value) if annotations.get(END_MARK) == "true" else ""
        if kind == "DELETED":
            self._objects.pop(_key(value), None)
        else:
            self._objects[_key(value)] = self._take(slim(value))
        return ""

    def objects(self) -> list[Object]:
        """Those that are there."""
        return list(self._objects.values())


def version_of(value: Object) -> str:
    """The resource version of an object or a list. Raises `Unreachable` where it has none."""
    version = (value.get("metadata") or {}).get("resourceVersion")
    if not isinstance(version, str) or not version:
        raise no_answer("API server", "an object without resource version")
    return version


def slim(value: Object) -> Object:
    """Without the book-keeping of who wrote which field: nobody here reads it, and it is a third of the memory."""
    (value.get("metadata") or {}).pop("managedFields", None)
    return value


def with_kinds(listed: Object) -> list[Object]:
    """The items of a list, with the kind that lists of built-in objects say only once."""
    kind = str(listed.get("kind", "")).removesuffix("List")
    items: list[Object] = listed.get("items") or []
    for item in items:
        slim(item)
        item.setdefault("apiVersion", listed.get("apiVersion", ""))
        item.setdefault("kind", kind)
    return items


def _key(value: Object) -> tuple[str, str]:
    metadata = value.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))
