"""Tables of ports: few entries, exact at every end."""

from __future__ import annotations

import pytest

from bulkhead.abi import Verdict
from bulkhead.policy.lower_decision import Judge, decision
from bulkhead.policy.lower_ports import PortTable, PortTables
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import Action, Mode, NetworkRule, PolicyRules, Ports, RuleReference

_DENIED = decision(Verdict.DENY, 1)


def _table(*ports: Ports) -> PortTable:
    """Of one rule that denies `ports`."""
    rule = NetworkRule(RuleReference("", "p", "network.egress", "rules[0]"), Mode.ENFORCE, Action.DENY, (), ports)
    return PortTables([(1, rule)], Judge(merge([PolicyRules(networks=(rule,))]))).table(0b10)


def _denied_ports(table: PortTable, protocol: int) -> set[int]:
    """Looks every port up as the kernel does."""
    words = dict.fromkeys(range(0x10000), 0)
    for held, port, bits, word in sorted(table, key=lambda entry: entry[2]):
        if held == protocol or bits == 32:
            size = 0x10000 >> max(0, bits - 48)
            words.update(dict.fromkeys(range(port, port + size), word))
    return {port for port, word in words.items() if word == _DENIED}


def test_a_rule_without_ports_is_one_entry() -> None:
    """Protocols that say what the class says need no entry of their own."""
    assert _table() == ((0, 0, 32, _DENIED),)


def test_one_port_is_four_entries() -> None:
    """Unknown ports are denied; ICMP, ICMPv6, UDP and other ports of TCP are not."""
    assert _table(Ports(6, 443, 443)) == (
        (0, 0, 32, _DENIED),
        (1, 0, 48, 0),
        (6, 0, 48, 0),
        (6, 443, 64, _DENIED),
        (17, 0, 48, 0),
        (58, 0, 48, 0),
    )


@pytest.mark.parametrize(
    "ranges",
    [
        [(443, 443), (445, 445)],
        [(443, 443), (444, 444)],
        [(8000, 8080)],
        [(1, 65535)],
        [(0, 65535)],
        [(0, 0), (65535, 65535)],
        [(10, 20), (15, 30), (12, 13)],
        [(100, 200), (200, 300)],
    ],
)
def test_ranges_hold_exactly_their_ports(ranges: list[tuple[int, int]]) -> None:
    """Ranges that overlap, touch or nearly touch, and the ends of all ports."""
    table = _table(*(Ports(17, first, last) for first, last in ranges))
    expected = {port for first, last in ranges for port in range(first, last + 1)}
    assert _denied_ports(table, 17) == expected
    assert len(table) <= 4 + 2 * 15 * len(ranges)


def test_nearly_all_ports_take_one_entry_for_what_is_left() -> None:
    """The decision that most ports share is the protocol's own."""
    assert [entry for entry in _table(Ports(6, 1, 65535)) if entry[0] == 6] == [(6, 0, 64, 0)]
