"""A rule on a symbolic link holds for what it points to in that container: patterns are followed there. Pure.

The automaton sees the path that an object has, never the links by which it was reached. So each pattern keeps what it
says and gains what its literal part leads to: of `/bin/sh`, where `/bin` is a link and `sh` another, `/usr/bin/dash`;
of `/var/run/secrets/**`, `/run/secrets/**`. Following a link needs the container's root, which is given as a function
(`node.symlinks`). Next step: `policy.merge`, `policy.lower`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from bulkhead.policy.rules import (
    ANYONE,
    CapabilityRule,
    NetworkRule,
    OperationRule,
    PathRule,
    PolicyRules,
    Programs,
    SocketRule,
)

Follow = Callable[[bytes], bytes]
_WILD = ("*", "?")
_Rule = TypeVar("_Rule", PathRule, NetworkRule, CapabilityRule, OperationRule, SocketRule)


def localise(rules: PolicyRules, follow: Follow) -> PolicyRules:
    """The same rules with the patterns that hold in a container.

    `follow` gives the path that an absolute path leads to below the container's root, itself where it has no link.
    """
    return replace(
        rules,
        paths=tuple(_localise_rule(rule, follow) for rule in rules.paths),
        networks=tuple(_localise_programs(rule, follow) for rule in rules.networks),
        capabilities=tuple(_localise_programs(rule, follow) for rule in rules.capabilities),
        operations=tuple(_localise_programs(rule, follow) for rule in rules.operations),
        sockets=tuple(_localise_programs(rule, follow) for rule in rules.sockets),
    )


def _localise_rule(rule: PathRule, follow: Follow) -> PathRule:
    return _localise_programs(replace(rule, patterns=_follow_all(rule.patterns, follow)), follow)


def _localise_programs(rule: _Rule, follow: Follow) -> _Rule:
    programs = rule.programs
    if programs == ANYONE:
        return rule
    return replace(rule, programs=Programs(_follow_all(programs.by, follow), _follow_all(programs.unless, follow)))


def _follow_all(patterns: tuple[str, ...], follow: Follow) -> tuple[str, ...]:
    """The patterns, and what they lead to."""
    return tuple(dict.fromkeys([*patterns, *(_follow_pattern(pattern, follow) for pattern in patterns)]))


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
