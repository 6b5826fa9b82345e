"""`bulkhead policy explain`: what a set of policies means, in words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkhead.policy.merge import PolicySet, Statement

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "explain",
        help="what policies mean, in words",
        description="Says in words what the policies mean together.",
        epilog="example: bulkhead policy explain examples/*.yaml",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    from bulkhead.cli.policy_files import merged  # noqa: PLC0415

    for line in explain(merged(arguments.files)):
        print(line)
    return 0


def explain(policy_set: PolicySet) -> Iterator[str]:
    """One line a rule, in the order of the rules' numbers, and how they are weighed."""
    yield "An explicit Kill or Deny wins; else an explicit Allow; else the strictest default; else it is allowed."
    for number, statement in enumerate(policy_set.statements, start=1):
        mode = "" if statement.mode.value == "Enforce" else ", and only reports what it would do"
        yield f"{number:4}. {statement.reference.id}: {_verb(statement)} {_object(statement)}{mode}"


def _verb(statement: Statement) -> str:
    return {"ALLOW": "allows", "AUDIT": "reports", "DENY": "denies", "KILL": "kills the process at"}[
        statement.action.name
    ]


def _object(statement: Statement) -> str:
    from bulkhead.policy import rules  # noqa: PLC0415

    if isinstance(statement, rules.PathRule):
        operations = ", ".join(sorted(operation.name.capitalize() for operation in statement.operations))
        return f"{operations} of {', '.join(statement.patterns)}"
    if isinstance(statement, rules.NetworkRule):
        peers = ", ".join(_peer(peer) for peer in statement.peers) or "every address"
        ports = ", ".join(_ports(ports) for ports in statement.ports) or "every port"
        return f"traffic to {peers} on {ports}"
    if isinstance(statement, rules.CapabilityRule):
        from bulkhead.policy.capabilities import capability_name  # noqa: PLC0415

        return "capabilities " + ", ".join(capability_name(number) for number in sorted(statement.capabilities))
    return f"everything of {statement.section.value} that no rule matches"


def _peer(peer: object) -> str:
    from bulkhead.policy.rules import Peer  # noqa: PLC0415

    assert isinstance(peer, Peer)
    excluded = f" except {', '.join(map(str, peer.excluded))}" if peer.excluded else ""
    return f"{peer.network}{excluded}"


def _ports(ports: object) -> str:
    from bulkhead.policy.rules import Ports  # noqa: PLC0415

    assert isinstance(ports, Ports)
    protocol = {6: "TCP", 17: "UDP"}[ports.protocol]
    return f"{protocol} {ports.first}" + ("" if ports.first == ports.last else f"-{ports.last}")
