"""The rules of `network.egress` as prefixes with classes, and for each class a table of ports.

`except` belongs to one rule only, so prefixes cannot simply be listed: for every network that is mentioned, the rules
that its addresses satisfy are computed, and networks with the same answers share a class. IPv4 and IPv6 are swept
apart, because `::/0` does not hold for mapped addresses. Next step: `lower_ports` makes the table of a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy.image import PortDecision
from bulkhead.policy.lower_decision import Judge, numbers
from bulkhead.policy.lower_ports import PortTable, PortTables
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import Network, NetworkRule, Section

_MAPPED = 0xFFFF << 32  # ::ffff:0:0/96
_MAPPED_BITS = 96


@dataclass(frozen=True)
class LoweredNetwork:
    """As in `SetImage`, by class of acting programs; empty where egress is allowed to all in silence."""

    prefixes: tuple[tuple[tuple[IPv6Network, int], ...], ...]
    unresolved: tuple[int, ...]
    ports: tuple[PortDecision, ...] = ()


@dataclass(frozen=True, order=True)
class _Prefix:
    """`bits` leading bits of an address of `width` bits; wider prefixes sort before those within them."""

    address: int
    bits: int
    width: int

    def contains(self, other: _Prefix) -> bool:
        return self.bits <= other.bits and (self.address ^ other.address) >> (self.width - self.bits) == 0


def lower_network(policy_set: PolicySet, judges: Sequence[Judge]) -> LoweredNetwork:
    """`judges` are those of the classes of acting programs. Raises DoesNotFit where something exceeds a limit."""
    rules = [(n, said) for n, said in enumerate(policy_set.statements, start=1) if isinstance(said, NetworkRule)]
    swept = [_Sweep(rules, width).satisfied() for width in (128, 32)]
    classes: dict[PortTable, int] = {}
    prefixes = tuple(tuple(_prefixes(swept, PortTables(rules, judge), classes)) for judge in judges)
    ports = [PortDecision(found, *entry) for table, found in classes.items() for entry in table]
    possible = sum(1 << number for number, _ in rules)
    unresolved = tuple(judge.decide_unresolved(possible, Section.EGRESS) for judge in judges)
    if not any(unresolved) and not any(port.decision for port in ports):
        return LoweredNetwork(((),) * len(judges), unresolved)
    _check("network prefixes of one policy set", sum(map(len, prefixes)), abi.MAX_PREFIXES)
    _check("port prefixes of one policy set", len(ports), abi.MAX_PORTS)
    return LoweredNetwork(prefixes, unresolved, tuple(ports))


def _prefixes(
    swept: list[list[tuple[_Prefix, int]]], tables: PortTables, classes: dict[PortTable, int]
) -> Iterator[tuple[IPv6Network, int]]:
    """Prefixes with their class of peers; `classes` are shared by all who act, and grow."""
    for satisfied in swept:
        classified = [
            (prefix, classes.setdefault(tables.table(matching), len(classes))) for prefix, matching in satisfied
        ]
        yield from ((_as_ipv6(prefix), found) for prefix, found in _without_repetition(classified))


class _Sweep:
    """Goes through all prefixes of one family in order, with those that contain the current one on a stack.

    Peers are bits here: `_peer_rules[bit]` is the rule that the peer belongs to.
    """

    def __init__(self, rules: list[tuple[int, NetworkRule]], width: int) -> None:
        self._width = width
        self._everywhere = 0  # rules without peers
        self._peer_rules: list[int] = []
        self._begins: dict[_Prefix, int] = {_Prefix(0, 0, width): 0}  # peers whose network a prefix is
        self._excludes: dict[_Prefix, int] = {}  # peers that a prefix is excluded from
        for number, rule in rules:
            if not rule.peers:
                self._everywhere |= 1 << number
            for peer in rule.peers:
                self._add(number, peer.network, peer.excluded)

    def _add(self, number: int, network: Network, excluded: tuple[Network, ...]) -> None:
        prefix = _prefix(network)
        if prefix.width != self._width:
            return
        bit = 1 << len(self._peer_rules)
        self._peer_rules.append(number)
        self._begins[prefix] = self._begins.get(prefix, 0) | bit
        for hole in map(_prefix, excluded):
            if hole.width == self._width:
                self._excludes[hole] = self._excludes.get(hole, 0) | bit

    def satisfied(self) -> list[tuple[_Prefix, int]]:
        """Each prefix with the mask of the rules that its addresses satisfy, those of narrower prefixes left out."""
        found: list[tuple[_Prefix, int]] = []
        enclosing: list[tuple[_Prefix, int, int]] = []
        for prefix in sorted(self._begins.keys() | self._excludes.keys()):
            while enclosing and not enclosing[-1][0].contains(prefix):
                enclosing.pop()
            _, inside, outside = enclosing[-1] if enclosing else (prefix, 0, 0)
            inside |= self._begins.get(prefix, 0)
            outside |= self._excludes.get(prefix, 0)
            enclosing.append((prefix, inside, outside))
            found.append((prefix, self._rules_of(inside & ~outside)))
        return found

    def _rules_of(self, peers: int) -> int:
        mask = self._everywhere
        for bit in numbers(peers):
            mask |= 1 << self._peer_rules[bit]
        return mask


def _prefix(network: Network) -> _Prefix:
    """Networks of mapped addresses are IPv4's."""
    address, bits = int(network.network_address), network.prefixlen
    if isinstance(network, IPv4Network):
        return _Prefix(address, bits, 32)
    if bits >= _MAPPED_BITS and address >> 32 == _MAPPED >> 32:
        return _Prefix(address & 0xFFFFFFFF, bits - _MAPPED_BITS, 32)
    return _Prefix(address, bits, 128)


def _as_ipv6(prefix: _Prefix) -> IPv6Network:
    if prefix.width == 32:
        return IPv6Network((_MAPPED | prefix.address, _MAPPED_BITS + prefix.bits))
    return IPv6Network((prefix.address, prefix.bits))


def _without_repetition(classified: list[tuple[_Prefix, int]]) -> list[tuple[_Prefix, int]]:
    """Without the prefixes that say what the narrowest one that contains them says already. The widest one stays."""
    kept: list[tuple[_Prefix, int]] = []
    enclosing: list[tuple[_Prefix, int]] = []
    for prefix, found in classified:
        while enclosing and not enclosing[-1][0].contains(prefix):
            enclosing.pop()
        if not enclosing or enclosing[-1][1] != found:
            kept.append((prefix, found))
        enclosing.append((prefix, found))
    return kept


def _check(what: str, needed: int, limit: int) -> None:
    if needed > limit:
        raise DoesNotFit(what, needed, limit)
