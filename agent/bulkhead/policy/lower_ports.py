"""The table of one class of addresses: what is decided for which protocol and port.

The kernel looks ports up by longest prefix: the class alone where protocol or ports cannot be known, then the
protocol, then ports. An entry that says what the next wider one says is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bulkhead.policy.lower_decision import Judge
from bulkhead.policy.rules import NetworkRule, Ports, Section

CLASS_BITS, PROTOCOL_BITS, PORT_BITS = 32, 48, 64  # lengths of the key, as in struct port_key
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58

PortTable = tuple[tuple[int, int, int, int], ...]
"""Entries (protocol, port, bits, decision): the fields of a `PortDecision` without its class."""

_Range = tuple[int, int, int]  # first port, last port, decision


class PortTables:
    """Tables by the mask of rules whose peers an address satisfies."""

    def __init__(self, rules: list[tuple[int, NetworkRule]], judge: Judge) -> None:
        self._judge = judge
        self._without_ports = sum(1 << number for number, rule in rules if not rule.ports)
        self._ranges = {protocol: _disjoint_ranges(rules, protocol) for protocol in (TCP, UDP)}
        self._tables: dict[int, PortTable] = {}

    def table(self, matching: int) -> PortTable:
        """What is decided for addresses that exactly the rules of `matching` hold for."""
        found = self._tables.get(matching)
        if found is None:
            found = self._tables[matching] = tuple(self._entries(matching))
        return found

    def _entries(self, matching: int) -> Iterator[tuple[int, int, int, int]]:
        without = matching & self._without_ports
        unknown = self._judge.decide(without | matching & self._judge.strict, Section.EGRESS)
        yield 0, 0, CLASS_BITS, unknown
        for protocol in (ICMP, TCP, UDP, ICMPV6):
            ranges = self._decisions(matching, without, protocol)
            usual = _most_frequent(ranges)
            if usual != unknown:
                yield protocol, 0, PROTOCOL_BITS, usual
            for first, last, decided in ranges:
                if decided != usual:
                    for port, bits in _aligned(first, last):
                        yield protocol, port, PROTOCOL_BITS + bits, decided

    def _decisions(self, matching: int, without: int, protocol: int) -> list[_Range]:
        """All ports of a protocol in order, neighbours with equal decisions taken together."""
        toggles: dict[int, int] = defaultdict(int)
        toggles[0] = 0
        for number, first, last in self._ranges.get(protocol, ()):
            if matching >> number & 1:
                toggles[first] ^= 1 << number
                toggles[last + 1] ^= 1 << number
        starts = sorted(port for port in toggles if port <= 0xFFFF)
        ranges: list[_Range] = []
        holding = without
        for first, after in zip(starts, [*starts[1:], 0x10000], strict=True):
            holding ^= toggles[first]
            decided = self._judge.decide(holding, Section.EGRESS)
            if ranges and ranges[-1][2] == decided:
                first = ranges.pop()[0]  # noqa: PLW2901  # the neighbour before is extended
            ranges.append((first, after - 1, decided))
        return ranges


def _disjoint_ranges(rules: list[tuple[int, NetworkRule]], protocol: int) -> list[tuple[int, int, int]]:
    """(rule, first, last), where ranges of one rule neither overlap nor touch."""
    found: list[tuple[int, int, int]] = []
    for number, rule in rules:
        for ports in sorted((ports for ports in rule.ports if ports.protocol == protocol), key=_range):
            if found and found[-1][0] == number and ports.first <= found[-1][2] + 1:
                found[-1] = (number, found[-1][1], max(ports.last, found[-1][2]))
            else:
                found.append((number, ports.first, ports.last))
    return found


def _range(ports: Ports) -> tuple[int, int]:
    return ports.first, ports.last


def _most_frequent(ranges: list[_Range]) -> int:
    """The decision that would take the most entries, and therefore becomes the protocol's own."""
    entries: dict[int, int] = defaultdict(int)
    for first, last, decided in ranges:
        entries[decided] += sum(1 for _ in _aligned(first, last))
    return max(entries, key=lambda decided: entries[decided])


def _aligned(first: int, last: int) -> Iterator[tuple[int, int]]:
    """(port, bits): the fewest prefixes that cover `first` to `last`, inclusive."""
    while first <= last:
        size = first & -first or 0x10000
        while first + size - 1 > last:
            size >>= 1
        yield first, 16 - (size.bit_length() - 1)
        first += size
