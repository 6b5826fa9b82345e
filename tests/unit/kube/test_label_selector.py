"""Label selectors as kubectl writes them."""

from __future__ import annotations

import pytest

from bulkhead.errors import UsageError
from bulkhead.kube.label_selector import parse_selector

LABELS = {"app": "web", "tier": "front", "example.com/team": ""}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier = front", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("gone!=x", True),
        ("tier in (front, back)", True),
        ("tier in (back),app=web", False),
        ("tier notin (back,side),app", True),
        ("tier notin (front)", False),
        ("gone notin (x)", True),
        ("!gone,app", True),
        ("gone", False),
        ("!app", False),
        ("example.com/team=", True),
    ],
)
def test_what_holds(text: str, holds: bool) -> None:
    """All of it has to; a label that is not there is in no set and not equal to anything."""
    assert all(each.holds(LABELS) for each in parse_selector(text)) is holds


@pytest.mark.parametrize("text", ["app=web,", "=web", "app in web", "app in (a", "app=a b", "app>3", "a=b=c", "-app"])
def test_what_is_none_is_said(text: str) -> None:
    """With what to write."""
    with pytest.raises(UsageError, match="write such as app=web"):
        parse_selector(text)
