"""Label selectors as kubectl's `-l` writes them: `app=web,tier in (front,back),!old`. Pure.

Source: labels.Parse of k8s.io/apimachinery. The API server reads them by itself; this is for what it does not hold.
Next step: `cli.events` asks violations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bulkhead.errors import UsageError
from bulkhead.policy.labels import Operator, requirement_holds

_KEY = r"(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]*"
_FORMS: tuple[tuple[Operator, re.Pattern[str]], ...] = (
    ("Exists", re.compile(rf"({_KEY})()")),
    ("DoesNotExist", re.compile(rf"!\s*({_KEY})()")),
    ("In", re.compile(rf"({_KEY})\s*==?\s*({_VALUE})")),
    ("NotIn", re.compile(rf"({_KEY})\s*!=\s*({_VALUE})")),
    ("In", re.compile(rf"({_KEY})\s+in\s*\(([^()]*)\)")),
    ("NotIn", re.compile(rf"({_KEY})\s+notin\s*\(([^()]*)\)")),
)
_BETWEEN = re.compile(r",(?![^(]*\))")
REMEDY = "write such as app=web, app!=web, 'tier in (a,b)', 'tier notin (a,b)', app, '!app', with commas between"


@dataclass(frozen=True)
class Requirement:
    """One condition on labels."""

    key: str
    operator: Operator
    values: frozenset[str]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Of labels."""
        return requirement_holds(self.operator, labels.get(self.key), self.values)


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """All that has to hold; nothing where the text is empty. Raises `UsageError`."""
    return tuple(_requirement(part.strip()) for part in _BETWEEN.split(text)) if text.strip() else ()


def _requirement(text: str) -> Requirement:
    for operator, pattern in _FORMS:
        if match := pattern.fullmatch(text):
            values = frozenset(value.strip() for value in match[2].split(","))
            return Requirement(match[1], operator, values)
    raise UsageError(f"label selector: {text!r} is none: {REMEDY}")
