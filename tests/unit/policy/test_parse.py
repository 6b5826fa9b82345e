"""Reading documents: many in a text, each by itself, whatever the text is. Single faults are in tests/corpus."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.errors import UsageError
from bulkhead.policy.locate import DOCUMENT_BYTES, NODES
from bulkhead.policy.parse import Parsed, parse_files, parse_object, parse_text
from tests.unit.policy.documents import text_of

GOOD = "  exec: {default: Deny}\n"


def _told(parsed: Parsed) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.field, problem.message) for problem in parsed.problems]


@pytest.mark.parametrize("broken", ["a: [\n", "a: 'x\n", "\tx: 1\n", "a: *b\n", "? [x]\n: y\n", "{}{}\n"])
def test_a_broken_document_leaves_the_others_alone(broken: str) -> None:
    """Documents before and after one that is not even YAML are read."""
    parsed = parse_text(f"{text_of(GOOD, 'a')}---\n{broken}---\n{text_of(GOOD, 'b')}", "f")
    assert [policy.name for policy in parsed.policies] == ["a", "b"]
    assert parsed.problems
    assert {problem.line for problem in parsed.problems} <= {7, 8, 9}


def test_problems_of_a_document_are_found_together() -> None:
    """What is wrong as YAML, in a field, and across fields is said at once, in the order of lines."""
    body = "  mode: audit\n  exec:\n    default: Deny\n    default: Deny\n    rules:\n    - {action: Deny}\n"
    found = _told(parse_text(text_of(body), "f"))
    assert [(line, field) for line, field, _ in found] == [
        (5, "spec.mode"),
        (8, "spec.exec.default"),
        (10, "spec.exec.rules[0]"),
    ]


def test_a_document_over_the_limit_is_refused_with_its_size() -> None:
    """Size and limit are named; the neighbour is not touched."""
    padding = "#" * DOCUMENT_BYTES
    parsed = parse_text(f"{text_of(GOOD, 'a')}---\n{text_of(GOOD, 'b')}{padding}", "f")
    (problem,) = parsed.problems
    size = len(text_of(GOOD, "b")) + len("---\n") + DOCUMENT_BYTES
    assert problem.message == f"has {size} bytes, the limit is {DOCUMENT_BYTES}"
    assert [policy.name for policy in parsed.policies] == ["a"]


def test_a_document_at_the_limit_is_read() -> None:
    """The limit is the last size that is good."""
    text = text_of(GOOD)
    assert parse_text(text + "#" * (DOCUMENT_BYTES - len(text)), "f").problems == ()


def _steps(text: str) -> int:
    """How many instructions of Python reading a text takes: a measure of time that is the same on every machine."""
    steps = 0

    def count(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        parse_text(text, "f")
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize(
    "repeat",
    [
        lambda count: text_of("  exec:\n    rules:\n" + "    - {action: , paths: 7}\n" * count),
        lambda count: "kind: List\nitems:\n" + "- {1: 2}\n" * count,
        lambda count: "kind: List\nitems:\n" + "- 7\n" * count + "1: x\n" * count,
    ],
    ids=["empty fields beside wrong ones", "faults within items", "faults around items"],
)
def test_work_grows_no_faster_than_the_text(repeat: Callable[[int], str]) -> None:
    """Twice as much that is wrong takes twice the work, or one bad document would keep all others waiting."""
    parse_text(repeat(1), "f")  # what is remembered from the first time is no part of it
    assert _steps(repeat(160)) < 2.5 * _steps(repeat(80))


def test_aliases_cannot_explode() -> None:
    """Nine aliases to nine aliases to ... are refused by count, without being followed."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    (problem,) = parse_text("\n".join(lines), "f").problems
    assert f"over {NODES} values" in problem.message


def test_aliases_cannot_contain_themselves() -> None:
    """An alias within its own anchor has no end, and is refused."""
    (problem,) = parse_text("a: &a [*a]\n", "f").problems
    assert "*a stands for nothing" in problem.message


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 800 + "]" * 800, "a:\n" + "- " * 5_000, "{a: " * 900])
def test_depth_is_bounded(text: str) -> None:
    """Deep nesting is refused; it neither recurses nor ends the program."""
    (problem,) = parse_text(text, "f").problems
    assert "nested over 64 levels" in problem.message


def test_depth_is_bounded_through_aliases() -> None:
    """Anchors that are each nested a little add up."""
    lines = ["a0: &a0 x"] + [f"a{n}: &a{n} {'[' * 30}*a{n - 1}{']' * 30}" for n in range(1, 4)]
    (problem,) = parse_text("\n".join(lines), "f").problems
    assert "nested over 64 levels" in problem.message


def test_items_of_a_list_are_documents_of_their_own() -> None:
    """A bad item is refused by itself, with its line."""
    item = text_of(GOOD).replace("\n", "\n  ").rstrip()
    parsed = parse_text(f"kind: List\nitems:\n- {item}\n- kind: Pod\n- 7\n", "f")
    assert [policy.name for policy in parsed.policies] == ["web"]
    assert [(line, field) for line, field, _ in _told(parsed)] == [(8, "kind"), (9, "")]


def test_a_list_with_faults_around_its_items_is_refused_whole() -> None:
    """Nobody knows what it was to say: the faults are told once each, and no item is used."""
    item = text_of(GOOD).replace("\n", "\n  ").rstrip()
    parsed = parse_text(f"kind: List\nitems:\n- {item}\n- {{1: 2}}\nkind: Pod\n", "f")
    assert parsed.policies == ()
    assert [(line, field) for line, field, _ in _told(parsed)] == [(8, "items[1]"), (9, "kind")]


def test_faults_within_an_item_are_its_own() -> None:
    """Fields are counted from the item on, and its neighbours are read."""
    item = text_of(GOOD).replace("\n", "\n  ").rstrip()
    bad = item.replace("name: web", "name: b").replace("default: Deny", "default: Deny, default: Deny")
    parsed = parse_text(f"kind: List\nitems:\n- {item}\n- {bad}\n", "f")
    assert [policy.name for policy in parsed.policies] == ["web"]
    assert _told(parsed) == [(12, "spec.exec.default", "stands here twice")]


def test_faults_of_a_list_without_items_are_told() -> None:
    """There is no item to tell them with."""
    assert _told(parse_text("kind: List\nitems: []\nitems: []\n", "f")) == [(3, "items", "stands here twice")]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "~\n", "{kind: List, items: []}\n"])
def test_a_text_without_policies_is_a_problem(text: str) -> None:
    """Whoever checks an empty file by mistake hears of it."""
    assert _told(parse_text(text, "f")) == [(0, "", "has no policy in it")]


def test_policies_are_unique_over_all_files(tmp_path: Path) -> None:
    """The first stays, the second is refused and the first's place is named."""
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(text_of(GOOD))
    parsed = parse_files([tmp_path / "a.yaml", tmp_path / "b.yaml"])
    assert [place.file for place in parsed.places] == [str(tmp_path / "a.yaml")]
    (problem,) = parsed.problems
    assert problem.file == str(tmp_path / "b.yaml")
    assert problem.message == f"SecurityPolicy default/web was already given at {tmp_path / 'a.yaml'}:1"


def test_equal_names_in_different_scopes_are_different_policies() -> None:
    """Kind and namespace are part of the identity."""
    cluster = text_of(GOOD).replace("kind: S", "kind: ClusterS")
    other = text_of(GOOD).replace("{name: web}", "{name: web, namespace: shop}")
    assert len(parse_text(f"{text_of(GOOD)}---\n{cluster}---\n{other}", "f").policies) == 3


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads it."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text_of(GOOD).encode())))
    assert [policy.name for policy in parse_files([Path("-")]).policies] == ["web"]


def test_files_that_cannot_be_opened_are_wrong_use(tmp_path: Path) -> None:
    """No such file and a directory are errors of the command line, and named."""
    for path, told in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(UsageError, match=rf"{path}: {told}.*goes on"):
            parse_files([path])


def test_bytes_that_are_not_utf_8_are_refused_with_their_document(tmp_path: Path) -> None:
    """The line is named; the document before it is read."""
    (tmp_path / "latin").write_bytes(text_of(GOOD).encode() + b"---\na: 1\nb: \xe9\n")
    parsed = parse_files([tmp_path / "latin"])
    assert [policy.name for policy in parsed.policies] == ["web"]
    assert _told(parsed) == [(8, "", "has bytes that are not UTF-8")]


def test_objects_of_the_api_server_have_no_lines() -> None:
    """Plain data is read like text; its problems name the source."""
    value = {"apiVersion": "bulkhead.dev/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "a"}, "spec": {}}
    (problem,) = parse_object(value, "SecurityPolicy default/a").problems
    assert (problem.file, problem.line, problem.field) == ("SecurityPolicy default/a", 0, "spec")


def test_what_yaml_makes_of_words_is_not_guessed() -> None:
    """Dates stay text, `yes` is no text, a number to base 60 is none."""
    parsed = parse_text(text_of("  message: 2026-01-01\n  tags: [1:30]\n" + GOOD), "f")
    assert [(policy.spec.message, policy.spec.tags) for policy in parsed.policies] == [("2026-01-01", ["1:30"])]
    assert _told(parse_text(text_of("  message: yes\n" + GOOD), "f")) == [(5, "spec.message", "is true or false")]


@settings(max_examples=150, deadline=None)
@given(st.text("{}[]&*!|>'\"%@`,:#-? \n\tab<1\u2028\ud800\0", max_size=40))
def test_no_text_is_too_strange(text: str) -> None:
    """Any text gives policies or problems, never an exception."""
    parsed = parse_text(text, "f")
    assert parsed.problems or parsed.policies


KEYS = st.sampled_from(["kind", "spec", "exec", "rules"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
DATA = st.recursive(SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(KEYS, each), max_leaves=8)


@settings(max_examples=60, deadline=None)
@given(DATA, st.sampled_from(["spec", "metadata", "kind", "apiVersion"]))
def test_no_data_is_too_strange(part: object, field: str) -> None:
    """Whatever stands in place of a part of a document is refused with problems."""
    good = {"apiVersion": "bulkhead.dev/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "a"}, "spec": {}}
    assert parse_object({**good, field: part}, "f").problems
