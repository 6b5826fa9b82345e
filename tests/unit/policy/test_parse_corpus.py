"""Documents as files: tests/corpus/valid is accepted; what tests/corpus/invalid gets stands in the files themselves.

A line `# expect: FIELD: MESSAGE` gives the field and how its problem begins; `# here` marks the lines of problems. What
is valid but not enforced yet is in tests/corpus/not_enforced, with a line `# refused: FIELD, FIELD`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bulkhead.policy.parse import parse_files
from bulkhead.policy.support import unenforced

ROOT = Path(__file__).resolve().parents[3]
VALID = sorted([*(ROOT / "tests/corpus/valid").glob("*.yaml"), *(ROOT / "examples").glob("*.yaml")])
INVALID = sorted((ROOT / "tests/corpus/invalid").glob("*.yaml"))
NOT_ENFORCED = sorted((ROOT / "tests/corpus/not_enforced").glob("*.yaml"))


def test_there_is_a_corpus() -> None:
    """An empty directory would make the tests below pass."""
    assert len(VALID) >= 10
    assert len(INVALID) >= 50
    assert len(NOT_ENFORCED) >= 2


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_valid_documents_are_accepted(path: Path) -> None:
    """What is right and enforced is accepted without a word."""
    parsed = parse_files([path])
    assert [str(problem) for problem in parsed.problems] == []
    assert parsed.policies


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_invalid_documents_are_refused_for_what_is_wrong(path: Path) -> None:
    """Exactly the expected problems are found, each on its field and a marked line, and the document is not used."""
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    marked = {number for number, line in enumerate(lines, start=1) if line.endswith("# here")}
    parsed = parse_files([path])
    found = [str(problem).removeprefix(f"{path}:{problem.line}: ") for problem in parsed.problems]
    unforeseen = [text for text in found if not text.startswith(tuple(each.removeprefix(": ") for each in expected))]
    missed = [each for each in expected if not any(text.startswith(each.removeprefix(": ")) for text in found)]
    assert (unforeseen, missed) == ([], [])
    assert len(found) == len(expected), found
    assert {problem.line for problem in parsed.problems} == marked, parsed.problems
    assert {problem.file for problem in parsed.problems} == {str(path)}
    refused = [policy for policy in parsed.policies if policy.name != "good"]
    assert refused == []


def _refused(path: Path) -> set[str]:
    """The fields that a document of tests/corpus/not_enforced says are refused in it."""
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    return set(first.removeprefix("# refused: ").split(", "))


@pytest.mark.parametrize("path", NOT_ENFORCED, ids=lambda path: path.stem)
def test_what_is_not_enforced_yet_is_valid_and_refused_by_name(path: Path) -> None:
    """It parses without a word where support is not asked for; else the fields named are refused, and no others."""
    assert parse_files([path], check_support=False).problems == ()
    parsed = parse_files([path])
    fields = {re.sub(r"(operations)?\[\d+\]", lambda each: each[1] or "[]", each.field) for each in parsed.problems}
    assert (parsed.policies, fields) == ((), _refused(path))


def test_everything_that_is_not_enforced_yet_is_in_the_corpus() -> None:
    """A row of the table of support without a document is a refusal that nothing shows."""
    assert set().union(*map(_refused, NOT_ENFORCED)) == {field for field, _ in unenforced()}
