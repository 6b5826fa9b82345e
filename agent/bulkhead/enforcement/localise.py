"""A rule on a symbolic link holds for what it points to in that container: patterns are followed there. Pure.

The automaton sees the path that an object has, never the links by which it was reached. So each pattern keeps what it
says and gains what its literal part leads to: of `/bin/sh`, where `/bin` is a link and `sh` another, `/usr/bin/dash`;
of `/var/run/secrets/**`, `/run/secrets/**`. Following a link needs the container's root, which is given as a function
(`node.symlinks`). Next step: `policy.merge`, `policy.lower`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bulkhead.policy.rules import PathRule, PolicyRules

Follow = Callable[[bytes], bytes]
_WILD = ("*", "?")


def localise(rules: PolicyRules, follow: Follow) -> PolicyRules:
    """The same rules with the patterns that hold in a container.

    `follow` gives the path that an absolute path leads to below the container's root, itself where it has no link.
    """
    return replace(rules, paths=tuple(_localise_rule(rule, follow) for rule in rules.paths))


def _localise_rule(rule: PathRule, follow: Follow) -> PathRule:
    followed = [_follow_pattern(pattern, follow) for pattern in rule.patterns]
    return replace(rule, patterns=tuple(dict.fromkeys([*rule.patterns, *followed])))


def _follow_pattern(pattern: str, follow: Follow) -> str:
    literal, wild = split_literal(pattern)
    target = follow(literal.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    return "/".join([target.rstrip("/"), wild]) if wild else target


def split_literal(pattern: str) -> tuple[str, str]:
    """The directory that a pattern names literally, and the rest, without the slash between them.

    A pattern without wildcards is literal as a whole.
    """
    elements = pattern.split("/")
    for index, element in enumerate(elements):
        if any(wild in element for wild in _WILD):
            return "/".join(elements[:index]) or "/", "/".join(elements[index:])
    return pattern, ""
