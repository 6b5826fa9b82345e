"""Records, names and entries for tests of reports."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from socket import htons

from bulkhead import abi
from bulkhead.policy.rules import RuleReference
from bulkhead.report.identity import ContainerIdentity, NodeIdentity
from bulkhead.v1.violation_pb2 import Entry, Object, Verdict, Violation

NODE = NodeIdentity("node-1", "0a1b2c3d-0000-4000-8000-000000000000")
RULE = RuleReference("shop", "web", "exec", "no-shells", "High", "no shells in web", ("a", "b"))
CONTAINER = ContainerIdentity(
    pod="web-0",
    namespace="shop",
    container="web",
    image="example/web:1",
    workload="Deployment/web",
    labels={"app": "web"},
    cgroup="/kubepods/web",
)


class FixedNames:
    """One rule (set 1, number 2), one container (3), one mount (device 0x800001 at /data)."""

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """RULE or None."""
        return RULE if (set_id, number) == (1, 2) else None

    def container(self, index: int) -> ContainerIdentity | None:
        """CONTAINER or None."""
        return CONTAINER if index == 3 else None

    def mount_prefix(self, container_index: int, device: int) -> bytes | None:
        """/data or None."""
        return b"/data" if (container_index, device) == (3, 0x800001) else None


NAMES = FixedNames()


def elements(path: bytes) -> bytes:
    """A path as the kernel writes it: last element first, each with its length."""
    return b"".join(bytes([len(name)]) + name for name in reversed(path.split(b"/")) if name)


def record(
    operation: abi.Operation = abi.Operation.EXEC,
    verdict: int = abi.Verdict.DENY,
    path: bytes = b"/bin/sh",
    **fields: int,
) -> abi.Record:
    """A record of container 3 for rule 2 of set 1, at 2 s of boot time, by a process that started at 1 s."""
    made = abi.Record(time_ns=2_000_000_000, process_start_ns=1_000_000_000, pid=100, parent=1, cgroup=77, **fields)
    made.repeat.container, made.repeat.set, made.repeat.rule = 3, 1, 2
    made.repeat.verdict, made.repeat.operation = verdict, operation
    packed = elements(path)
    made.object[: len(packed)] = packed
    made.object_bytes = len(packed)
    program = elements(b"/usr/bin/bash")
    made.executable[: len(program)] = program
    made.executable_bytes = len(program)
    made.arguments[:8] = b"bash\0-c\0"
    made.arguments_bytes = 8
    made.comm[:4] = b"bash"
    return made


def to_address(made: abi.Record, address: str, port: int, protocol: int) -> abi.Record:
    """The record, about a connection to there."""
    parsed = ip_address(address)
    whole = parsed if isinstance(parsed, IPv6Address) else IPv6Address(f"::ffff:{address}")
    made.address[:] = whole.packed
    made.port, made.protocol, made.object_bytes = htons(port), protocol, 0
    return made


def entry(number: int, verdict: Verdict = Verdict.VERDICT_DENIED, padding: int = 0) -> Entry:
    """A violation that can be told from others by its pid."""
    violation = Violation(verdict=verdict, count=1, policy="web", rule_id="shop/web/exec/r", cgroup="/c", node="node-1")
    violation.process.pid = number
    violation.time.seconds = violation.first_time.seconds = violation.last_time.seconds = 1_000 + number
    violation.object.CopyFrom(Object(path=b"/" + b"x" * padding))
    return Entry(violation=violation)


def pids(entries: Sequence[Entry]) -> list[int]:
    """Which of `entry` these are."""
    return [each.violation.process.pid for each in entries if each.HasField("violation")]
