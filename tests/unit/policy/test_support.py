"""What is not enforced is refused: the corpus shows each refusal, here is what must not be forgotten."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from bulkhead.policy.parse import parse_object
from bulkhead.policy.resolve import resolve
from bulkhead.policy.support import unenforced, unsupported
from tests.unit.policy.documents import documents


def _enforced_alone(spec: dict[str, Any]) -> bool:
    """Said once more, and by other means: whether a document uses enforced features only."""
    network = spec.get("network", {})
    sections = [spec.get(name) for name in ("exec", "files", "capabilities", "operations")]
    sections += [network.get("egress"), network.get("sockets")]
    rules = [rule for section in sections if section for rule in section.get("rules", [])]
    if network.keys() - {"egress", "sockets"}:
        return False
    return all("cidr" in peer for rule in rules for peer in rule.get("to", []))


@settings(max_examples=60, deadline=None)
@given(documents())
def test_exactly_what_is_not_enforced_is_refused(document: dict[str, Any]) -> None:
    """A document is refused if and only if it uses a feature that is not enforced; all others can be resolved."""
    parsed = parse_object(document, "f")
    assert bool(parsed.policies) == _enforced_alone(document["spec"])
    for policy in parsed.policies:
        assert list(unsupported(policy)) == []
        resolve(policy)
    assert all("not enforced yet" in problem.message and problem.remedy for problem in parsed.problems)


def test_the_reference_page_lists_every_row() -> None:
    """Fields are written as in problems, with [] for any entry."""
    fields = [field for field, _ in unenforced()]
    assert "spec.network.egress.rules[].to[].dns" in fields
    assert len(fields) == len(set(fields)) == 4
