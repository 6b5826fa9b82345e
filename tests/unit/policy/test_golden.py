"""Golden cases: what policies become is in files that people read. `make verify-golden` compares; here it is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkhead.cli.image_text import describe
from bulkhead.cli.policy_files import merged
from bulkhead.policy.lower import lower

CASES = sorted((Path(__file__).resolve().parents[2] / "golden").glob("*/policy.yaml"))


@pytest.mark.parametrize("policy", CASES, ids=lambda path: path.parent.name)
def test_policies_become_what_is_written_down(policy: Path) -> None:
    """Automaton, outcomes, prefixes, ports and decisions, to the word."""
    assert describe(lower(merged([policy]))) == json.loads(policy.with_name("image.json").read_text())


def test_there_are_cases() -> None:
    """A folder that was lost would make everything pass."""
    assert len(CASES) >= 7
