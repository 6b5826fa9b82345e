"""A policy document to its rules: names become numbers, defaults become explicit. Pure. Next step: `policy.merge`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import get_args

from bulkhead.abi import Operation
from bulkhead.errors import InternalError
from bulkhead.policy import model
from bulkhead.policy.capabilities import capability_number
from bulkhead.policy.model.sections import FileOperation
from bulkhead.policy.operations import operation_named
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
    Programs,
    Provenance,
    RuleReference,
    Section,
    SocketRule,
)
from bulkhead.policy.sockets import FAMILIES, TYPES
from bulkhead.policy.support import unsupported

PROTOCOLS = {"TCP": 6, "UDP": 17}  # IPPROTO_TCP, IPPROTO_UDP
LAST_PORT = 65_535


def resolve(policy: model.Policy) -> PolicyRules:
    """What a policy says; nothing where it is Disabled.

    Raises `InternalError` for a policy with anything in it that is not enforced yet: parsing refuses those.
    """
    for path, message, _ in unsupported(policy):
        field = ".".join(map(str, path))
        raise InternalError(f"{policy.namespace}/{policy.name}: {field}: {message}, and nothing of the policy is")
    if policy.spec.mode == "Disabled":
        return PolicyRules()
    return _Resolver(policy).rules()


class _Resolver:
    """One policy."""

    def __init__(self, policy: model.Policy) -> None:
        self._policy = policy
        self._spec = policy.spec
        self._mode = Mode(policy.spec.mode)

    def rules(self) -> PolicyRules:
        """All of it."""
        egress = self._spec.network.egress if self._spec.network else None
        return PolicyRules(
            paths=tuple(self._paths()),
            networks=tuple(self._egress(egress)) if egress else (),
            capabilities=tuple(self._capabilities()),
            operations=tuple(self._operations()),
            sockets=tuple(self._sockets()),
            defaults=tuple(self._defaults()),
        )

    def _paths(self) -> Iterator[PathRule]:
        for index, program in enumerate(self._spec.exec.rules if self._spec.exec else []):
            operations = frozenset({Operation.EXEC})
            rule = self._path_rule(Section.EXEC, index, program, operations)
            yield replace(rule, provenance=_provenance(program))
        for index, file in enumerate(self._spec.files.rules if self._spec.files else []):
            operations = frozenset(Operation[word.upper()] for word in file.operations or get_args(FileOperation))
            yield self._path_rule(Section.FILES, index, file, operations)

    def _path_rule(
        self, section: Section, index: int, rule: model.ExecRule | model.FileRule, operations: frozenset[Operation]
    ) -> PathRule:
        reference = self._reference(section, rule.name or f"rules[{index}]")
        programs = programs_of(rule.by)
        paths = tuple(rule.paths)
        return PathRule(reference, self._mode, _action(rule.action), operations, paths, programs=programs)

    def _egress(self, egress: model.EgressSection) -> Iterator[NetworkRule]:
        for index, rule in enumerate(egress.rules):
            reference = self._reference(Section.EGRESS, rule.name or f"rules[{index}]")
            peers = tuple(_peer(peer) for peer in rule.to)
            ports = tuple(map(_ports, rule.ports))
            yield NetworkRule(reference, self._mode, _action(rule.action), peers, ports, programs_of(rule.by))

    def _capabilities(self) -> Iterator[CapabilityRule]:
        for index, rule in enumerate(self._spec.capabilities.rules if self._spec.capabilities else []):
            reference = self._reference(Section.CAPABILITIES, rule.name or f"rules[{index}]")
            numbers = frozenset(map(_capability, rule.names))
            yield CapabilityRule(reference, self._mode, _action(rule.action), numbers, programs_of(rule.by))

    def _operations(self) -> Iterator[OperationRule]:
        for index, rule in enumerate(self._spec.operations.rules if self._spec.operations else []):
            reference = self._reference(Section.OPERATIONS, rule.name or f"rules[{index}]")
            operations = frozenset(map(operation_named, rule.names))
            yield OperationRule(reference, self._mode, _action(rule.action), operations, programs_of(rule.by))

    def _sockets(self) -> Iterator[SocketRule]:
        sockets = self._spec.network.sockets if self._spec.network else None
        for index, rule in enumerate(sockets.rules if sockets else []):
            reference = self._reference(Section.SOCKETS, rule.name or f"rules[{index}]")
            families = frozenset(FAMILIES[name] for name in rule.families)
            types = frozenset(TYPES[name] for name in rule.types)
            programs = programs_of(rule.by)
            yield SocketRule(reference, self._mode, _action(rule.action), families, types, programs)

    def _defaults(self) -> Iterator[Default]:
        sections: dict[Section, model.Section | None] = {
            Section.EXEC: self._spec.exec,
            Section.FILES: self._spec.files,
            Section.EGRESS: self._spec.network.egress if self._spec.network else None,
            Section.SOCKETS: self._spec.network.sockets if self._spec.network else None,
            Section.CAPABILITIES: self._spec.capabilities,
            Section.OPERATIONS: self._spec.operations,
        }
        for section, part in sections.items():
            if part and part.default:
                yield Default(self._reference(section, "default"), self._mode, section, _action(part.default))

    def _reference(self, section: Section, rule: str) -> RuleReference:
        return RuleReference(
            policy_namespace=self._policy.namespace,
            policy=self._policy.name,
            section=section.value,
            rule=rule,
            severity=self._spec.severity,
            message=self._spec.message,
            tags=tuple(self._spec.tags),
        )


def programs_of(by: Sequence[str]) -> Programs:
    """Whose acts a rule is about, from its `by`: with `!` before it, a pattern names an exception."""
    excepted = tuple(text[1:] for text in by if text.startswith("!"))
    return Programs(tuple(text for text in by if not text.startswith("!")), excepted)


def _action(word: str) -> Action:
    return Action[word.upper()]


def _provenance(rule: model.ExecRule) -> Provenance:
    if rule.fileless:
        return Provenance.FILELESS
    return Provenance.WRITTEN if rule.not_in_image else Provenance.IMAGE


def _peer(peer: model.Peer) -> Peer:
    if peer.cidr is None:
        raise InternalError("a peer without cidr was not refused before; nothing of its policy is enforced")
    return Peer(ip_network(peer.cidr), tuple(ip_network(text) for text in peer.excluded))


def _ports(ports: model.PortRange) -> Ports:
    if ports.port is None:
        return Ports(PROTOCOLS[ports.protocol], 0, LAST_PORT)
    return Ports(PROTOCOLS[ports.protocol], ports.port, ports.end_port or ports.port)


def _capability(name: str) -> int:
    number = capability_number(name)
    if number is None:
        raise InternalError(f"capability {name} was not refused before; nothing of its policy is enforced")
    return number
