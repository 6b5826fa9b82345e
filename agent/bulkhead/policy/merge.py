"""All policies that select one container become one set: the union of what they say, in an order of its own.

A set must not depend on the order in which policies arrived, and equal sets must be stored once, so every statement is
put into canonical form, sorted by the rule it comes from, and the whole is digested. The position in that order,
counted from 1, is the rule's number in the kernel's decisions. Next step: `policy.lower`; `policy.oracle` says what
the set means.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bulkhead.policy.rules import (
    ANYONE,
    CapabilityRule,
    Default,
    Network,
    NetworkRule,
    OperationRule,
    PathRule,
    Peer,
    PolicyRules,
    Programs,
    RuleReference,
    SocketRule,
)

Statement = PathRule | NetworkRule | CapabilityRule | OperationRule | SocketRule | Default


@dataclass(frozen=True)
class PolicySet:
    """Statements in canonical order, each once; number n of a decision is `statements[n - 1]`.

    `digest` is the SHA-256 of everything in it, in hexadecimal: equal for equal policies in any order.
    """

    statements: tuple[Statement, ...]
    digest: str

    @property
    def references(self) -> tuple[RuleReference, ...]:
        """What each number stands for, in the order of numbers."""
        return tuple(statement.reference for statement in self.statements)

    @property
    def rules(self) -> PolicyRules:
        """The same statements by kind, as one policy would hold them."""
        return PolicyRules(
            paths=tuple(statement for statement in self.statements if isinstance(statement, PathRule)),
            networks=tuple(statement for statement in self.statements if isinstance(statement, NetworkRule)),
            capabilities=tuple(statement for statement in self.statements if isinstance(statement, CapabilityRule)),
            operations=tuple(statement for statement in self.statements if isinstance(statement, OperationRule)),
            sockets=tuple(statement for statement in self.statements if isinstance(statement, SocketRule)),
            defaults=tuple(statement for statement in self.statements if isinstance(statement, Default)),
        )


def merge(policies: Iterable[PolicyRules]) -> PolicySet:
    """The set of all policies given. A policy given twice counts once."""
    keyed: dict[str, Statement] = {}
    for policy in policies:
        statements: list[Statement] = [*policy.paths, *policy.networks, *policy.capabilities]
        statements += (*policy.operations, *policy.sockets, *policy.defaults)
        for canonical in map(_canonical, statements):
            keyed[_text(canonical)] = canonical
    ordered = sorted(keyed.items(), key=lambda item: (item[1].reference, item[0]))
    digest = hashlib.sha256("\n".join(text for text, _ in ordered).encode("utf-8", "surrogatepass"))
    return PolicySet(tuple(statement for _, statement in ordered), digest.hexdigest())


def _canonical(statement: Statement) -> Statement:
    """The same statement with its lists sorted and free of repetition."""
    if not isinstance(statement, Default):
        programs = statement.programs
        by, unless = tuple(sorted(set(programs.by))), tuple(sorted(set(programs.unless)))
        statement = replace(statement, programs=Programs(by, unless))
    if isinstance(statement, PathRule):
        return replace(statement, patterns=tuple(sorted(set(statement.patterns))))
    if isinstance(statement, NetworkRule):
        peers = {Peer(peer.network, tuple(sorted(set(peer.excluded), key=network_key))) for peer in statement.peers}
        ports = {(ports.protocol, ports.first, ports.last): ports for ports in statement.ports}
        return replace(
            statement,
            peers=tuple(sorted(peers, key=lambda peer: (network_key(peer.network), peer_text(peer)))),
            ports=tuple(ports[key] for key in sorted(ports)),
        )
    return statement


def network_key(network: Network) -> tuple[int, int, int]:
    """Sorts networks of both families: IPv4 first, then by address, wider before narrower."""
    return network.version, int(network.network_address), network.prefixlen


def peer_text(peer: Peer) -> str:
    """`10.0.0.0/8 except 10.9.0.0/16`."""
    excluded = " ".join(str(network) for network in peer.excluded)
    return f"{peer.network} except {excluded}" if excluded else str(peer.network)


def _text(statement: Statement) -> str:
    """One line that is equal for equal statements only."""
    reference = statement.reference
    about = [
        *(reference.policy_namespace, reference.policy, reference.section, reference.rule),
        *(reference.severity, reference.message, list(reference.tags)),
        *(statement.mode.value, int(statement.action)),
    ]
    return json.dumps([type(statement).__name__, about, _scope(statement), *_programs(statement)])


def _programs(statement: Statement) -> list[object]:
    """Whose acts a rule is about; nothing where it is anyone's."""
    programs = ANYONE if isinstance(statement, Default) else statement.programs
    return [] if programs == ANYONE else [list(programs.by), list(programs.unless)]


def _scope(statement: Statement) -> list[object]:
    if isinstance(statement, PathRule):
        operations = sorted(int(operation) for operation in statement.operations)
        return [operations, list(statement.patterns), int(statement.provenance)]
    if isinstance(statement, NetworkRule):
        ports = [[ports.protocol, ports.first, ports.last] for ports in statement.ports]
        return [[peer_text(peer) for peer in statement.peers], ports]
    if isinstance(statement, CapabilityRule):
        return [*sorted(statement.capabilities)]
    if isinstance(statement, OperationRule):
        return [*sorted(int(operation) for operation in statement.operations)]
    if isinstance(statement, SocketRule):
        return [sorted(statement.families), sorted(statement.types)]
    return [statement.section.value]
