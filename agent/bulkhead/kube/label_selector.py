"""Label selectors as kubectl's `-l` writes them: `app=web,tier in (front,back),!old`. Pure.

Source: labels.Parse of k8s.io/apimachinery. The API server reads them by itself; this is for what it does not hold.
Next step: `cli.events` asks violations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bulkhead.errors import UsageError

_KEY = r"(?:[A-Za-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]*"
_FORMS = (
    ("exists", re.compile(rf"({_KEY})()")),
    ("absent", re.compile(rf"!\s*({_KEY})()")),
    ("in", re.compile(rf"({_KEY})\s*==?\s*({_VALUE})")),
    ("notin", re.compile(rf"({_KEY})\s*!=\s*({_VALUE})")),
    ("in", re.compile(rf"({_KEY})\s+in\s*\(([^()]*)\)")),
    ("notin", re.compile(rf"({_KEY})\s+notin\s*\(([^()]*)\)")),
)
_BETWEEN = re.compile(r",(?![^(]*\))")
REMEDY = "write such as app=web, app!=web, 'tier in (a,b)', 'tier notin (a,b)', app, '!app', with commas between"


@dataclass(frozen=True)
class Requirement:
    """`form`: in, notin, exists or absent. A label that is not there is in no set of values."""

    key: str
    form: str
    values: frozenset[str]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Of labels."""
        match self.form:
            case "exists":
                return self.key in labels
            case "absent":
                return self.key not in labels
            case "in":
                return labels.get(self.key) in self.values
            case _:
                return labels.get(self.key) not in self.values


def parse_selector(text: str) -> tuple[Requirement, ...]:
    """All that has to hold; nothing where the text is empty. Raises `UsageError`."""
    return tuple(_requirement(part.strip()) for part in _BETWEEN.split(text)) if text.strip() else ()


def _requirement(text: str) -> Requirement:
    for form, pattern in _FORMS:
        if match := pattern.fullmatch(text):
            values = frozenset(value.strip() for value in match[2].split(","))
            return Requirement(match[1], form, values)
    raise UsageError(f"label selector: {text!r} is none: {REMEDY}")
