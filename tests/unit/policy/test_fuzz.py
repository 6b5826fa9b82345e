"""Whatever a document says, it is refused with reasons or it is lowered; no error but those that are told."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.abi import Operation
from bulkhead.errors import DoesNotFit
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.oracle import judge_path
from bulkhead.policy.parse import Parsed, parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import Action, Mode, PathRule, PolicyRules, RuleReference
from tests.unit.policy.documents import text_of
from tests.unit.policy.kernel_view import path_decision

_SETTINGS = settings(max_examples=200, deadline=None, derandomize=True)
_PIECES = st.sampled_from([
    "apiVersion: bulkhead.dev/v1alpha1\n", "kind: SecurityPolicy\n", "metadata: {name: web}\n", "spec:\n",
    "  exec:\n", "  files: {default: Deny}\n", "    rules:\n", "    - {action: Deny, paths: [/a]}\n", "    - ",
    "action: Kill\n", "paths: [", '"/**"', "]", "{", "}", ": ", "\n", "---\n", "&a [*a]", "*a", "!!binary x", "? ",
    "|\n",
    "\t", "\0", "\ud800", "\x85", "%YAML 1.2\n", "<<: *a", "1e999", "null", "~", "'", '"', "#", "- - - ", "[[[[", "\\",
])  # fmt: skip


def _lowered(parsed: Parsed) -> None:
    assert parsed.policies or parsed.problems
    assert all(str(problem) for problem in parsed.problems)
    lower(merge(resolve(policy) for policy in parsed.policies))


@_SETTINGS
@given(st.lists(_PIECES, max_size=40).map("".join))
def test_pieces_of_documents_in_any_order(text: str) -> None:
    """YAML's own traps included: anchors that hold themselves, directives, unpaired quotes, control characters."""
    _lowered(parse_text(text, "fuzz"))


@_SETTINGS
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    """As a file's content is read: what is not UTF-8 is a problem of its document."""
    _lowered(parse_text(data.decode("utf-8", "surrogateescape"), "fuzz"))


@_SETTINGS
@given(st.lists(st.text(string.printable, max_size=30), min_size=1, max_size=3))
def test_any_text_as_paths(paths: list[str]) -> None:
    """A pattern is one, or the document is refused."""
    shown = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    _lowered(parse_text(text_of(f"  exec: {{rules: [{{action: Deny, paths: [{shown}]}}]}}\n"), "fuzz"))


@_SETTINGS
@given(st.lists(st.text("ab*?/", min_size=1, max_size=12), min_size=1, max_size=6), st.text("ab/", max_size=12))
def test_patterns_of_any_shape_are_decided_as_the_reference_says(patterns: list[str], name: str) -> None:
    """Runs of stars, stars beside question marks, `**` in all places: those that are patterns at all."""
    shown = ", ".join(f'"/{pattern}"' for pattern in patterns)
    parsed = parse_text(text_of(f"  exec: {{rules: [{{action: Deny, paths: [{shown}]}}]}}\n"), "fuzz")
    said = [resolve(policy) for policy in parsed.policies]
    path = ("/" + "/".join(filter(None, name.split("/")))).encode()
    assert path_decision(lower(merge(said)), Operation.EXEC, path) == judge_path(said, Operation.EXEC, path)


def test_names_of_every_byte_are_matched_as_bytes() -> None:
    """But NUL and the slash, which no name has: literally, and by wildcards."""
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/*?"]
    patterns = (*("/a/" + name.decode("utf-8", "surrogateescape") for name in names), "/b/?", "/c/*x")
    reference = RuleReference("", "p", "files", "r")
    rule = PathRule(reference, Mode.ENFORCE, Action.DENY, frozenset([Operation.READ]), patterns)
    said = [PolicyRules(paths=(rule,))]
    image = lower(merge(said))
    for name in names:
        for path in (b"/a/" + name, b"/b/" + name, b"/c/" + name + b"x", b"/a/" + name + b"x", b"/b/x" + name):
            found = path_decision(image, Operation.READ, path)
            assert found == judge_path(said, Operation.READ, path), path


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.lists(st.text("ab?*", min_size=3, max_size=20).filter(lambda text: "**" not in text), min_size=1, max_size=30)
)
def test_what_multiplies_is_built_or_refused_by_name(elements: list[str]) -> None:
    """With a low cap, so that it is met often."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bulkhead.policy.automaton.MAX_STATES", 2_000)
        rules = tuple(
            PathRule(
                RuleReference("", "p", "files", f"rules[{number}]"),
                Mode.ENFORCE,
                Action.DENY,
                frozenset([Operation.READ]),
                (f"/d/*{element}",),
            )
            for number, element in enumerate(elements)
        )
        assert "/d/*" in _refusal(rules, otherwise="/d/*")


def _refusal(rules: tuple[PathRule, ...], otherwise: str) -> str:
    try:
        lower(merge([PolicyRules(paths=rules)]))
    except DoesNotFit as error:
        return error.what
    return otherwise
