"""The labels of namespaces and of the node, by which policies select. Pure: JSON in, data out.

Most of what the API server tells of such an object is not about labels, and selects nothing anew. Next step:
`agent.cluster.state` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bulkhead.policy.select import Labels


class KnownLabels:
    """Of all objects of a kind, by name. What has no entry is not known, which is not the same as no labels."""

    def __init__(self) -> None:
        self._of: dict[str, Labels] = {}

    def replace(self, values: Iterable[Mapping[str, Any]]) -> None:
        """These are all objects."""
        self._of = {_name(value): _labels(value) for value in values}

    def change(self, event: str, value: Mapping[str, Any]) -> bool:
        """One object was ADDED, MODIFIED or DELETED; whether that is news."""
        name = _name(value)
        before = self._of.get(name)
        if event == "DELETED":
            self._of.pop(name, None)
        else:
            self._of[name] = _labels(value)
        return self._of.get(name) != before

    def recall(self, labels: Mapping[str, Labels]) -> None:
        """These were all objects when an agent last wrote them down."""
        self._of = dict(labels)

    def all(self) -> dict[str, Labels]:
        """A copy."""
        return dict(self._of)


def _name(value: Mapping[str, Any]) -> str:
    return str(value["metadata"]["name"])


def _labels(value: Mapping[str, Any]) -> Labels:
    return value["metadata"].get("labels") or {}
