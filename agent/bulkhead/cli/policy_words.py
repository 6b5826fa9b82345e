"""Rules in words, for `bulkhead policy explain`: what each says, and where it is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkhead.abi import Operation
    from bulkhead.policy.merge import Statement
    from bulkhead.policy.rules import PathRule, Peer, Ports, SocketRule


def sentence(statement: Statement) -> str:
    """`shop/web/files/secrets: denies Read of /run/secrets/**`."""
    mode = "" if statement.mode.value == "Enforce" else ", and only reports what it would do"
    return f"{statement.reference.id}: {_verb(statement)} {_object(statement)}{_programs(statement)}{mode}"


def _verb(statement: Statement) -> str:
    return {"ALLOW": "allows", "AUDIT": "reports", "DENY": "denies", "KILL": "kills the process at"}[
        statement.action.name
    ]


def _object(statement: Statement) -> str:
    from bulkhead.policy import rules  # noqa: PLC0415

    if isinstance(statement, rules.PathRule):
        return f"{_words(statement.operations)} of {_files(statement)}"
    if isinstance(statement, rules.NetworkRule):
        peers = ", ".join(_peer(peer) for peer in statement.peers) or "every address"
        ports = ", ".join(_ports(ports) for ports in statement.ports) or "every port"
        return f"traffic to {peers} on {ports}"
    if isinstance(statement, rules.CapabilityRule):
        from bulkhead.policy.capabilities import capability_name  # noqa: PLC0415

        return "capabilities " + ", ".join(capability_name(number) for number in sorted(statement.capabilities))
    if isinstance(statement, rules.OperationRule):
        return _words(statement.operations)
    if isinstance(statement, rules.SocketRule):
        return _sockets(statement)
    return f"everything of {statement.section.value} that no rule matches"


def _programs(statement: Statement) -> str:
    """Whose acts a rule is about."""
    from bulkhead.policy.rules import Default  # noqa: PLC0415

    if isinstance(statement, Default):
        return ""
    only = f", by {' or '.join(statement.programs.by)}" if statement.programs.by else ""
    return only + (f", unless by {' or '.join(statement.programs.unless)}" if statement.programs.unless else "")


def _words(operations: Iterable[Operation]) -> str:
    from bulkhead.policy.operations import OPERATION_WORDS  # noqa: PLC0415

    return ", ".join(OPERATION_WORDS[operation] for operation in sorted(operations))


def _sockets(rule: SocketRule) -> str:
    from bulkhead.policy.sockets import family_name, type_name  # noqa: PLC0415

    families = ", ".join(map(family_name, sorted(rule.families))) or "every family"
    types = ", ".join(map(type_name, sorted(rule.types))) or "every type"
    return f"sockets of {families} and of {types}"


def _files(rule: PathRule) -> str:
    from bulkhead.policy.rules import Provenance  # noqa: PLC0415

    patterns = ", ".join(rule.patterns) or "every file"
    return (
        patterns
        + {
            Provenance.IMAGE: "",
            Provenance.WRITTEN: " that was not in the image",
            Provenance.FILELESS: " that no path leads to",
        }[rule.provenance]
    )


def _peer(peer: Peer) -> str:
    excluded = f" except {', '.join(map(str, peer.excluded))}" if peer.excluded else ""
    return f"{peer.network}{excluded}"


def _ports(ports: Ports) -> str:
    protocol = {6: "TCP", 17: "UDP"}[ports.protocol]
    return f"{protocol} {ports.first}" + ("" if ports.first == ports.last else f"-{ports.last}")


def described(statement: Statement, places: Mapping[str, str]) -> dict[str, object]:
    """A rule or default for programs."""
    identifier = statement.reference.id
    return {
        "rule": identifier,
        "place": places[identifier],
        "action": statement.action.name.capitalize(),
        "mode": statement.mode.value,
        "says": sentence(statement).partition(": ")[2],
    }
