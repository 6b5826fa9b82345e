"""The models: what a document says survives reading, and every field is documented and bounded."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from bulkhead.policy import model
from bulkhead.policy.model.status import Condition, Nodes, Status
from bulkhead.policy.parse import parse_object, parse_text
from tests.unit.policy.documents import documents

PARTS = [
    *{each for each in vars(model).values() if isinstance(each, type) and issubclass(each, model.Model)},
    *(Condition, Nodes, Status),
]


@settings(max_examples=25, deadline=None)
@given(documents())
def test_documents_survive_reading(document: dict[str, Any]) -> None:
    """Document → model → document loses and adds nothing, through YAML as well."""
    text = yaml.safe_dump(document, allow_unicode=True)
    parsed = parse_text(text, "f", check_support=False)
    assert parsed.problems == ()
    (policy,) = parsed.policies
    written = policy.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert written == document
    assert parse_object(written, "f", check_support=False).policies == (policy,)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_fields_are_documented(part: type[model.Model]) -> None:
    """`kubectl explain` and the reference page have a text for everything but the head of a document."""
    head = {"api_version", "kind", "metadata"}
    silent = [name for name, info in part.model_fields.items() if name not in head and not info.description]
    assert silent == []
    assert part.__doc__


@pytest.mark.parametrize("name", ["CAP_NET_RAW", "NET_RAW"])
def test_capabilities_are_known_with_and_without_prefix(name: str) -> None:
    """Both spellings that people use are understood."""
    assert model.CapabilityRule.model_validate({"action": "Deny", "names": [name]}).names == [name]


def test_models_are_frozen() -> None:
    """A policy that was checked cannot be changed afterwards."""
    rule = model.CapabilityRule.model_validate({"action": "Deny", "names": ["BPF"]})
    with pytest.raises(ValueError, match="frozen"):
        rule.action = "Allow"
