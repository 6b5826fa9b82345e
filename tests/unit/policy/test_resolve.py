"""Resolving: every statement of a document becomes exactly one rule or default, with numbers for names."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from bulkhead.abi import Operation
from bulkhead.errors import InternalError
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import Action, Mode, Peer, PolicyRules, Ports, Section
from tests.unit.policy.documents import text_of


def _rules(body: str) -> PolicyRules:
    parsed = parse_text(text_of(body), "f")
    assert parsed.problems == ()
    return resolve(parsed.policies[0])


def test_references_say_what_a_violation_shows() -> None:
    """Names, positions of unnamed rules, and the policy's severity, message and tags."""
    head = "  severity: High\n  message: why\n  tags: [a]\n"
    rules = _rules(
        head + "  exec:\n    rules:\n    - {name: n, action: Deny, paths: [/a]}\n    - {action: Kill, paths: [/b]}\n"
    )
    assert [each.reference.id for each in rules.paths] == ["default/web/exec/n", "default/web/exec/rules[1]"]
    first = rules.paths[0].reference
    assert (first.severity, first.message, first.tags) == ("High", "why", ("a",))


def test_programs_and_files_are_path_rules() -> None:
    """Exec rules are on Exec; file rules on what they list."""
    rules = _rules(
        "  exec: {rules: [{action: Deny, paths: [/a, /b/**]}]}\n"
        "  files: {rules: [{action: Allow, paths: [/c], operations: [Read, Create]}]}\n"
    )
    assert [(each.operations, each.patterns, each.action) for each in rules.paths] == [
        (frozenset({Operation.EXEC}), ("/a", "/b/**"), Action.DENY),
        (frozenset({Operation.READ, Operation.CREATE}), ("/c",), Action.ALLOW),
    ]


def test_networks_and_ports_are_numbers() -> None:
    """Both families, exceptions, single ports, ranges, and every port of a protocol."""
    rules = _rules(
        "  network: {egress: {rules: [{action: Deny,"
        " to: [{cidr: 10.0.0.0/8, except: [10.9.0.0/16]}, {cidr: 'fd00::/8'}],"
        " ports: [{port: 443}, {protocol: UDP, port: 1, endPort: 65535}, {protocol: UDP}]}, {action: Audit}]}}\n"
    )
    first, everything = rules.networks
    assert first.peers == (
        Peer(ip_network("10.0.0.0/8"), (ip_network("10.9.0.0/16"),)),
        Peer(ip_network("fd00::/8")),
    )
    assert first.ports == (Ports(6, 443, 443), Ports(17, 1, 65535), Ports(17, 0, 65535))
    assert (everything.peers, everything.ports) == ((), ())


def test_capabilities_are_the_kernels_numbers() -> None:
    """Numbers as in linux/capability.h, for both spellings."""
    rules = _rules("  capabilities: {rules: [{action: Deny, names: [CHOWN, CAP_NET_RAW, CHECKPOINT_RESTORE]}]}\n")
    assert rules.capabilities[0].capabilities == {0, 13, 40}


def test_defaults_are_where_they_are_written() -> None:
    """A section without a default has none, and its reference is `default`."""
    rules = _rules(
        "  exec: {default: Deny}\n  files: {default: Audit}\n  network: {egress: {default: Kill}}\n"
        "  capabilities: {rules: [{action: Deny, names: [BPF]}]}\n"
    )
    assert [(each.section, each.action) for each in rules.defaults] == [
        (Section.EXEC, Action.DENY),
        (Section.FILES, Action.AUDIT),
        (Section.EGRESS, Action.KILL),
    ]
    assert {each.reference.rule for each in rules.defaults} == {"default"}


def test_mode_is_on_every_statement() -> None:
    """Audit is carried along; Disabled is nothing at all."""
    body = "  exec: {default: Deny, rules: [{action: Deny, paths: [/a]}]}\n"
    audit = _rules("  mode: Audit\n" + body)
    assert [audit.paths[0].mode, audit.defaults[0].mode] == [Mode.AUDIT, Mode.AUDIT]
    assert _rules("  mode: Disabled\n" + body) == PolicyRules()


def test_nothing_is_resolved_to_less_than_it_says() -> None:
    """A policy with a part that is not enforced is an error here, should anyone not have refused it."""
    body = "  exec: {default: Deny}\n  network: {ingress: {default: Deny}}\n"
    (policy,) = parse_text(text_of(body), "f", check_support=False).policies
    with pytest.raises(InternalError, match=r"spec\.network\.ingress"):
        resolve(policy)
