"""The reference model, by cases that a person can check against the text of the policy language."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from bulkhead.abi import Operation, Verdict
from bulkhead.policy.oracle import (
    Judgement,
    judge_capability,
    judge_connection,
    judge_operation,
    judge_path,
    judge_socket,
    judge_unresolved_packet,
    judge_unresolved_path,
)
from bulkhead.policy.rules import (
    Action,
    CapabilityRule,
    Default,
    Mode,
    NetworkRule,
    OperationRule,
    PathRule,
    Peer,
    PolicyRules,
    Ports,
    RuleReference,
    Section,
    SocketRule,
)

_A, _B, _C = (RuleReference("shop", name, "capabilities", "rules[0]") for name in "abc")
_ENFORCE, _AUDIT = Mode.ENFORCE, Mode.AUDIT


def _rule(reference: RuleReference, action: Action, mode: Mode = _ENFORCE) -> PolicyRules:
    return PolicyRules(capabilities=(CapabilityRule(reference, mode, action, frozenset([1])),))


def _default(reference: RuleReference, action: Action, mode: Mode = _ENFORCE) -> PolicyRules:
    return PolicyRules(defaults=(Default(reference, mode, Section.CAPABILITIES, action),))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([], Judgement()),
        ([_rule(_A, Action.ALLOW), _rule(_B, Action.DENY)], Judgement(Verdict.DENY, _B)),
        ([_rule(_A, Action.DENY), _rule(_B, Action.KILL)], Judgement(Verdict.KILL, _B)),
        ([_rule(_B, Action.DENY), _rule(_A, Action.DENY)], Judgement(Verdict.DENY, _A)),
        ([_rule(_A, Action.ALLOW), _default(_B, Action.KILL)], Judgement()),
        ([_default(_A, Action.ALLOW), _default(_B, Action.DENY)], Judgement(Verdict.DENY, _B)),
        ([_default(_A, Action.DENY), _default(_B, Action.KILL)], Judgement(Verdict.KILL, _B)),
        ([_rule(_A, Action.AUDIT)], Judgement(audit=_A)),
        ([_rule(_A, Action.AUDIT), _default(_B, Action.DENY)], Judgement(Verdict.DENY, _B, _A)),
        ([_rule(_A, Action.AUDIT), _rule(_B, Action.DENY)], Judgement(Verdict.DENY, _B, _A)),
        ([_default(_A, Action.AUDIT)], Judgement(audit=_A)),
        ([_default(_A, Action.AUDIT), _rule(_B, Action.ALLOW)], Judgement()),
        ([_default(_A, Action.AUDIT), _default(_B, Action.DENY)], Judgement(Verdict.DENY, _B)),
        ([_rule(_A, Action.KILL, _AUDIT)], Judgement(Verdict.WOULD_DENY, _A)),
        ([_rule(_A, Action.DENY, _AUDIT), _rule(_B, Action.ALLOW)], Judgement(Verdict.WOULD_DENY, _A)),
        ([_rule(_A, Action.ALLOW, _AUDIT), _default(_B, Action.DENY)], Judgement(Verdict.DENY, _B)),
        ([_rule(_A, Action.KILL, _AUDIT), _rule(_B, Action.DENY)], Judgement(Verdict.DENY, _B)),
        ([_default(_A, Action.DENY, _AUDIT), _rule(_B, Action.ALLOW)], Judgement()),
        ([_default(_A, Action.DENY, _AUDIT), _default(_B, Action.AUDIT)], Judgement(Verdict.WOULD_DENY, _A, _B)),
        ([_rule(_A, Action.ALLOW, _AUDIT), _default(_B, Action.AUDIT)], Judgement(audit=_B)),
        ([_rule(_A, Action.AUDIT, _AUDIT), _rule(_B, Action.AUDIT)], Judgement(audit=_A)),
    ],
)
def test_precedence(said: list[PolicyRules], expected: Judgement) -> None:
    """Kill, Deny, Allow, the strictest default; audit beside it; mode Audit in a shadow that never blocks."""
    assert judge_capability(said, 1) == expected
    assert judge_capability(said[::-1], 1) == expected


def test_a_rule_and_a_default_speak_for_their_section_only() -> None:
    """An exec default of Deny leaves files alone, and a rule for Read leaves Write alone."""
    default = Default(_A, _ENFORCE, Section.EXEC, Action.DENY)
    read = PathRule(_B, _ENFORCE, Action.DENY, frozenset([Operation.READ]), ("/a",))
    said = [PolicyRules(paths=(read,), defaults=(default,))]
    assert judge_path(said, Operation.EXEC, b"/a").rule == _A
    assert judge_path(said, Operation.READ, b"/a").rule == _B
    assert judge_path(said, Operation.WRITE, b"/a") == Judgement()
    assert judge_path(said, Operation.READ, b"/x", b"/a").rule == _B


def _egress(action: Action, *peers: Peer, ports: tuple[Ports, ...] = (), mode: Mode = _ENFORCE) -> PolicyRules:
    return PolicyRules(networks=(NetworkRule(_A, mode, action, peers, ports),))


def _verdict(said: PolicyRules, address: str, protocol: int = 6, port: int | None = 443) -> Verdict:
    return judge_connection([said], ip_address(address), protocol, port).verdict


def test_families_are_kept_apart() -> None:
    """`0.0.0.0/0` is IPv4 only, also as mapped addresses; `::/0` is IPv6 only."""
    four = _egress(Action.DENY, Peer(IPv4Network("0.0.0.0/0")))
    six = _egress(Action.DENY, Peer(IPv6Network("::/0")))
    both = _egress(Action.DENY)
    addresses = ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"]
    assert [_verdict(four, a) for a in addresses] == [Verdict.DENY, Verdict.DENY, Verdict.ALLOW]
    assert [_verdict(six, a) for a in addresses] == [Verdict.ALLOW, Verdict.ALLOW, Verdict.DENY]
    assert [_verdict(both, a) for a in addresses] == [Verdict.DENY] * 3


def test_exceptions_belong_to_their_peer() -> None:
    """An address that one peer excludes is matched if another peer of the rule holds it."""
    wide = Peer(IPv4Network("10.0.0.0/8"), (IPv4Network("10.9.0.0/16"),))
    narrow = Peer(IPv4Network("10.9.9.0/24"))
    assert _verdict(_egress(Action.DENY, wide), "10.9.9.1") == Verdict.ALLOW
    assert _verdict(_egress(Action.DENY, wide, narrow), "10.9.9.1") == Verdict.DENY


def test_unknown_ports_are_judged_by_the_strictest_rule_that_could_match() -> None:
    """A Deny with ports holds for fragments and unknown protocols, an Allow with ports does not; ICMP has no ports."""
    https = (Ports(6, 443, 443),)
    deny, allow = _egress(Action.DENY, ports=https), _egress(Action.ALLOW, ports=https)
    default = Default(_B, _ENFORCE, Section.EGRESS, Action.DENY)
    allow_list = PolicyRules(networks=allow.networks, defaults=(default,))
    cases = [(6, 443), (6, 444), (17, 443), (6, None), (132, None), (1, None), (58, None)]
    denied, passed = Verdict.DENY, Verdict.ALLOW
    assert [_verdict(deny, "10.0.0.1", *case) for case in cases] == [
        *(denied, passed, passed, denied, denied, passed, passed),
    ]
    assert [_verdict(allow_list, "10.0.0.1", *case) for case in cases] == [passed] + [denied] * 6


def test_what_cannot_be_resolved() -> None:
    """A Deny rule that could match decides even against an Allow; mode Audit would deny; other operations pass."""
    rules = tuple(
        PathRule(reference, mode, action, frozenset([operation]), ("/a",))
        for reference, mode, action, operation in [
            (_A, _ENFORCE, Action.ALLOW, Operation.READ),
            (_B, _ENFORCE, Action.DENY, Operation.READ),
            (_C, _AUDIT, Action.KILL, Operation.WRITE),
        ]
    )
    said = [PolicyRules(paths=rules)]
    assert judge_unresolved_path(said, Operation.READ) == Judgement(Verdict.DENY, _B)
    assert judge_unresolved_path(said, Operation.WRITE) == Judgement(Verdict.WOULD_DENY, _C)
    assert judge_unresolved_path(said, Operation.EXEC) == Judgement()
    assert judge_unresolved_packet([_egress(Action.KILL, ports=(Ports(17, 53, 53),))]) == Judgement(Verdict.KILL, _A)


def test_a_socket_is_matched_by_its_family_and_its_type() -> None:
    """Where a rule names both, both must hold; what has no name is matched by rules that do not name it."""
    packet, raw, anything = frozenset([17]), frozenset([3]), frozenset[int]()

    def decided(families: frozenset[int], types: frozenset[int], *socket: int) -> bool:
        said = [PolicyRules(sockets=(SocketRule(_A, _ENFORCE, Action.DENY, families, types),))]
        return judge_socket(said, *socket).verdict is Verdict.DENY

    sockets = [(17, 3), (17, 2), (2, 3), (45, 3), (45, 9)]
    assert [decided(packet, raw, *each) for each in sockets] == [True, False, False, False, False]
    assert [decided(packet, anything, *each) for each in sockets] == [True, True, False, False, False]
    assert [decided(anything, raw, *each) for each in sockets] == [True, False, True, True, False]


def test_privileged_operations_have_a_section_of_their_own() -> None:
    """A default of capabilities says nothing about them, theirs does about those that no rule names."""
    rule = OperationRule(_A, _ENFORCE, Action.ALLOW, frozenset([Operation.MOUNT]))
    default = Default(_B, _ENFORCE, Section.OPERATIONS, Action.DENY)
    said = [PolicyRules(operations=(rule,), defaults=(default,))]
    assert judge_operation(said, Operation.MOUNT) == Judgement()
    assert judge_operation(said, Operation.BPF) == Judgement(Verdict.DENY, _B)
    assert judge_capability(said, 21) == Judgement()
