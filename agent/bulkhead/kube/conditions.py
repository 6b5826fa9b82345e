"""Conditions in Kubernetes' form: what is said of an object, since when, and of which generation. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

MAX_MESSAGE = 32_768
Condition = dict[str, Any]


def condition(kind: str, status: str | bool, reason: str, message: str, since: str) -> Condition:
    """`status` is whether it is so, or Unknown; `since` is when that last changed."""
    return {
        "type": kind, "status": str(status), "reason": reason, "message": message[:MAX_MESSAGE],
        "lastTransitionTime": since,
    }  # fmt: skip


def find(conditions: Iterable[Mapping[str, Any]], kind: str) -> Mapping[str, Any]:
    """The condition of that type; empty where there is none."""
    return next((each for each in conditions if each["type"] == kind), {})


def continued(conditions: Iterable[Mapping[str, Any]], new: Condition) -> Condition:
    """The new condition, since when the old one of its type was so, where that said the same."""
    old = find(conditions, new["type"])
    same = old.get("status") == new["status"] and "lastTransitionTime" in old
    return {**new, "lastTransitionTime": old["lastTransitionTime"]} if same else new


def now() -> str:
    """As Kubernetes writes times."""
    return ago(0.0)


def ago(seconds: float) -> str:
    """The time so many seconds before now."""
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
