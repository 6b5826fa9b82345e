"""Files with several names are found where a pattern speaks of one of them, and nowhere else is looked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.abi import Operation
from bulkhead.enforcement import hard_links
from bulkhead.enforcement.hard_links import HardLinks, Patterns, find_hard_links
from bulkhead.node import mounts
from bulkhead.policy.oracle import path_matches
from bulkhead.policy.rules import Action, Mode, PathRule, RuleReference

ELEMENTS = ("a", "b", "ab", "*", "?", "a*", "**")


def found(tree: Path, *patterns: str) -> HardLinks:
    """What a search for patterns below a tree finds, on the machine itself."""
    reference = RuleReference("n", "p", "files", "r")
    rule = PathRule(
        reference, Mode.ENFORCE, Action.DENY, frozenset({Operation.READ}), tuple(f"{tree}/{each}" for each in patterns)
    )
    table = mounts.parse(Path("/proc/self/mountinfo").read_bytes())
    root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        return find_hard_links(root, table, [rule])
    finally:
        os.close(root)


def names(tree: Path, result: HardLinks) -> list[list[str]]:
    """The names that were found of each file, within the tree."""
    return sorted(sorted(os.fsdecode(name)[len(str(tree)) + 1 :] for name in each) for each in result.names.values())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two linked files with a name in covered/, one of them with two; others that are not linked or not covered."""
    for name in ("covered/sub", "free"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("covered/one", "covered/sub/two", "covered/alone", "free/uncovered"):
        (tmp_path / name).write_text(name)
    (tmp_path / "free/one").hardlink_to(tmp_path / "covered/one")
    (tmp_path / "free/two").hardlink_to(tmp_path / "covered/sub/two")
    (tmp_path / "covered/two").hardlink_to(tmp_path / "covered/sub/two")
    (tmp_path / "free/other").hardlink_to(tmp_path / "free/uncovered")
    (tmp_path / "covered/out").symlink_to(tmp_path / "free")
    return tmp_path


def test_covered_names_of_linked_files_are_found(tree: Path) -> None:
    """All covered names of each file, by wildcards and literally; symbolic links are not followed."""
    everything = found(tree, "covered/**")
    assert everything.complete
    assert names(tree, everything) == [["covered/one"], ["covered/sub/two", "covered/two"]]
    assert names(tree, found(tree, "covered/one", "covered/alone", "covered/missing/deeper")) == [["covered/one"]]
    assert names(tree, found(tree, "covered/*", "free/oth?r")) == [["covered/one"], ["covered/two"], ["free/other"]]
    ((_, inode),) = found(tree, "covered/one").names
    assert inode == (tree / "free/one").stat().st_ino


def test_a_search_is_bounded_and_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In names, in files."""
    monkeypatch.setattr(hard_links, "SEARCH_NAMES", 3)
    assert not found(tree, "**").complete
    monkeypatch.undo()
    monkeypatch.setattr(hard_links, "SEARCH_FILES", 1)
    assert not found(tree, "covered/**").complete


def test_a_directory_of_more_names_than_are_listed_is_told_of(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it is the last one, and no name of it is covered; what is listed takes so much memory at most."""
    on_the_way, in_directory = len((tree / "covered").parts) - 1, len(os.listdir(tree / "covered"))
    monkeypatch.setattr(hard_links, "SEARCH_NAMES", on_the_way + in_directory)
    assert found(tree, "covered/nothing*").complete
    monkeypatch.setattr(hard_links, "SEARCH_NAMES", on_the_way + in_directory - 1)
    assert not found(tree, "covered/nothing*").complete


def test_a_file_system_that_may_not_answer_is_not_entered(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only kinds that answer by themselves are looked into; others are not what a policy can rely on."""
    monkeypatch.setattr(hard_links, "LOCAL", frozenset({"nothing"}))
    assert found(tree, "covered/**").names == {}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "ab", "c"]), min_size=1, max_size=4),
)
def test_patterns_mean_what_the_oracle_says(written: list[list[str]], path: list[str]) -> None:
    """Read element by element, many at once, they match what each matches alone."""
    texts = [("/" + "/".join(elements)).encode() for elements in written]
    patterns = Patterns(texts)
    positions = patterns.start()
    for element in path:
        literals = patterns.literals(positions)
        name = element.encode()
        positions = patterns.after(positions, name)
        assert literals is None or not positions or name in literals
    whole = ("/" + "/".join(path)).encode()
    assert patterns.matches(positions) == any(path_matches(text, whole) for text in texts)
