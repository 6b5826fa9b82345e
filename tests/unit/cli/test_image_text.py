"""What `bulkhead policy render` shows of maps: every word of them, in words. Whole images are in tests/golden."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bulkhead import abi
from bulkhead.cli.image_text import automaton_text, decision_text, describe
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from tests.unit.policy.documents import text_of


def _described(body: str) -> dict[str, Any]:
    (policy,) = parse_text(text_of(body), "f").policies
    return describe(lower(merge([resolve(policy)])))


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (0, "ALLOW"),
        (abi.Verdict.DENY | 3 << abi.DECISION_RULE_SHIFT, "DENY 3"),
        (
            abi.Verdict.WOULD_DENY | 1 << abi.DECISION_RULE_SHIFT | 2 << abi.DECISION_AUDIT_SHIFT,
            "WOULD_DENY 1, reports 2",
        ),
    ],
)
def test_decisions_are_shown_whole(word: int, text: str) -> None:
    """Verdict, the rule that decided and the rule that reports."""
    assert decision_text(word) == text


def test_automata_are_shown_by_what_they_read() -> None:
    """Chains are one step only where nothing else holds within them; bytes beyond ASCII are escaped."""
    (policy,) = parse_text(text_of('  exec: {rules: [{action: Deny, paths: ["/a/**", /a, /ä]}]}\n'), "f").policies
    assert automaton_text(lower(merge([resolve(policy)])).automaton) == [
        "0: outcome 0; / → 1; else → outcome 0 for good",
        "1: outcome 0; a → 2; \\xc3\\xa4 → 3; else → outcome 0 for good",
        "2: outcome 1; / → outcome 1 for good; else → outcome 0 for good",
        "3: outcome 1; else → outcome 0 for good",
    ]


def test_ranges_of_ports_are_shown_as_ports() -> None:
    """Bits of a prefix are told as what they stand for."""
    shown = _described(
        "  network: {egress: {rules: [{action: Deny, ports: [{port: 80}, {port: 8000, endPort: 8001}]}]}}\n"
    )
    assert {"class 0, TCP 80: DENY 1", "class 0, TCP 8000-8001: DENY 1"} <= set(shown["ports"])


def test_flags_have_names() -> None:
    """All of them: none is left out of what is shown."""
    flags = describe(replace(lower(merge([])), flags=0xFFFFFFFF))["flags"]
    assert isinstance(flags, list)
    assert set(flags) == {name for name in vars(abi) if name.startswith(("SET_HAS_", "SET_MAY_"))}
