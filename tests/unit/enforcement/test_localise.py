"""A rule on a symbolic link holds for what it points to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.abi import Operation
from bulkhead.enforcement.localise import localise, split_literal
from bulkhead.node.symlinks import Links
from bulkhead.policy.rules import (
    Action,
    CapabilityRule,
    Mode,
    NetworkRule,
    PathRule,
    PolicyRules,
    Programs,
    RuleReference,
)


def patterns(*given: str, links: dict[bytes, bytes]) -> tuple[str, ...]:
    """The patterns of a rule once localised, with a table of links in place of a container."""
    reference = RuleReference("n", "p", "files", "r")
    rule = PathRule(reference, Mode.ENFORCE, Action.DENY, frozenset({Operation.READ}), given)
    (localised,) = localise(PolicyRules(paths=(rule,)), lambda path: links.get(path, path)).paths
    return localised.patterns


def test_patterns_gain_what_their_literal_part_leads_to() -> None:
    """Both the written path and the target are covered; the wildcard part stays as it is."""
    links = {b"/bin/sh": b"/usr/bin/dash", b"/var/run/secrets": b"/run/secrets", b"/bin": b"/usr/bin"}
    assert patterns("/bin/sh", links=links) == ("/bin/sh", "/usr/bin/dash")
    assert patterns("/var/run/secrets/**", links=links) == ("/var/run/secrets/**", "/run/secrets/**")
    assert patterns("/bin/apt*", links=links) == ("/bin/apt*", "/usr/bin/apt*")
    assert patterns("/etc/passwd", "/*", links=links) == ("/etc/passwd", "/*")


def test_programs_gain_what_they_lead_to_in_every_section() -> None:
    """A rule `by: /bin/sh` is about dash where sh is a link to it."""
    programs = Programs(by=("/bin/sh",), unless=("/bin/web",))
    reference = RuleReference("n", "p", "s", "r")
    given = PolicyRules(
        paths=(
            PathRule(reference, Mode.ENFORCE, Action.DENY, frozenset({Operation.READ}), ("/a",), programs=programs),
        ),
        networks=(NetworkRule(reference, Mode.ENFORCE, Action.DENY, (), (), programs),),
        capabilities=(CapabilityRule(reference, Mode.ENFORCE, Action.DENY, frozenset({1}), programs),),
    )
    got = localise(given, lambda path: b"/usr/bin/dash" if path == b"/bin/sh" else path)
    followed = Programs(by=("/bin/sh", "/usr/bin/dash"), unless=("/bin/web",))
    assert {rule.programs for rule in (*got.paths, *got.networks, *got.capabilities)} == {followed}


@pytest.mark.parametrize(
    ("pattern", "split"),
    [("/a/b", ("/a/b", "")), ("/a/*/c", ("/a", "*/c")), ("/*", ("/", "*")), ("/a?b/c", ("/", "a?b/c"))],
)
def test_the_literal_part_ends_before_the_first_wildcard(pattern: str, split: tuple[str, str]) -> None:
    """Elements with a wildcard are never followed."""
    assert split_literal(pattern) == split


def test_links_are_followed_below_the_root_only(tmp_path: Path) -> None:
    """Absolute and climbing links stay inside; chains, loops and what is not there end where they are."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/dash").touch()
    for name, target in {
        "bin": "usr/bin",
        "usr/bin/sh": "/bin/dash",
        "climb": "../../../../usr",
        "loop": "loop",
        "broken": "/nowhere/file",
    }.items():
        (tmp_path / name).symlink_to(target)
    root = os.open(tmp_path, os.O_PATH)
    try:
        for path, target in {
            b"/bin/sh": b"/usr/bin/dash",
            b"/climb/bin": b"/usr/bin",
            b"/broken": b"/nowhere/file",
            b"/not/there": b"/not/there",
            b"/bin/../bin/sh": b"/usr/bin/dash",
        }.items():
            assert Links(root).follow(path) == target
        assert Links(root).follow(b"/loop") == b"/loop"
    finally:
        os.close(root)
