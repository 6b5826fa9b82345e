"""Merging: a union without order."""

from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import IPv4Network, IPv6Network

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.abi import Operation
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import (
    Action,
    Mode,
    NetworkRule,
    PathRule,
    Peer,
    PolicyRules,
    Ports,
    RuleReference,
    Section,
)
from tests.unit.policy.strategies import policies

_RULE = PathRule(
    RuleReference("shop", "web", "files", "rules[0]"),
    Mode.ENFORCE,
    Action.DENY,
    frozenset([Operation.READ]),
    ("/etc/shadow", "/etc/passwd"),
)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_the_order_of_policies_and_of_rules_never_matters(data: st.DataObject) -> None:
    """Any order of policies, and of rules in them, is the same set, with the same digest and the same image."""
    said = data.draw(policies(*Section))
    shuffled = [_reversed(policy) for policy in data.draw(st.permutations(said))]
    assert merge(shuffled) == merge(said)
    assert lower(merge(shuffled)) == lower(merge(said))


def _reversed(policy: PolicyRules) -> PolicyRules:
    return PolicyRules(**{part.name: getattr(policy, part.name)[::-1] for part in fields(PolicyRules)})


def test_a_policy_given_twice_counts_once() -> None:
    """The union is one of sets."""
    policy = PolicyRules(paths=(_RULE,))
    assert merge([policy, policy]) == merge([policy])


def test_the_order_of_lists_within_a_rule_never_matters() -> None:
    """Patterns, peers, exceptions and ports mean the same in any order, so they give the same digest."""
    peers = (
        Peer(IPv6Network("fd00::/8")),
        Peer(IPv4Network("10.0.0.0/8"), (IPv4Network("10.9.0.0/16"), IPv4Network("10.8.0.0/16"))),
    )
    network = NetworkRule(_RULE.reference, Mode.ENFORCE, Action.DENY, peers, (Ports(17, 53, 53), Ports(6, 53, 53)))
    other_peers = (replace(peers[1], excluded=peers[1].excluded[::-1]), peers[0])
    other = replace(network, peers=other_peers, ports=network.ports[::-1])
    first = merge([PolicyRules(paths=(_RULE,), networks=(network,))])
    second = merge([PolicyRules(paths=(replace(_RULE, patterns=_RULE.patterns[::-1]),), networks=(other,))])
    assert first == second


def test_every_difference_shows_in_the_digest() -> None:
    """Sets that differ in anything, what a violation shows included, are stored apart."""
    changes: list[PathRule] = [
        _RULE,
        replace(_RULE, mode=Mode.AUDIT),
        replace(_RULE, action=Action.KILL),
        replace(_RULE, operations=frozenset([Operation.WRITE])),
        replace(_RULE, patterns=("/etc/shadow",)),
        replace(_RULE, reference=replace(_RULE.reference, message="why")),
        replace(_RULE, reference=replace(_RULE.reference, tags=("a", "b"))),
        replace(_RULE, reference=replace(_RULE.reference, tags=("a b",))),
    ]
    digests = {merge([PolicyRules(paths=(rule,))]).digest for rule in changes}
    assert len(digests) == len(changes)


def test_numbers_follow_the_identity_of_rules() -> None:
    """Rule number n of a decision is `references[n - 1]`, sorted by namespace, policy, section and rule."""
    names = [("", "z"), ("shop", "a"), ("shop", "b")]
    rules = [replace(_RULE, reference=replace(_RULE.reference, policy_namespace=n, policy=p)) for n, p in names]
    merged = merge(PolicyRules(paths=(rule,)) for rule in reversed(rules))
    assert [(reference.policy_namespace, reference.policy) for reference in merged.references] == names
    assert merged.rules == PolicyRules(paths=tuple(replace(r, patterns=tuple(sorted(r.patterns))) for r in rules))
