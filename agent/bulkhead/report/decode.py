"""The bytes of a `struct record` to the violation that they tell of. Pure: no clock, no /proc, no maps.

The kernel writes one record for the rule that decided (DENIED, KILLED, WOULD_DENY) and another for an audit rule that
matched as well; `repeat.verdict` says which one this is. Nothing that the record says about lengths is believed before
it was checked. Next step: `report.enrich`.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import sizeof
from ipaddress import IPv6Address
from socket import ntohs
from typing import Protocol

from bulkhead import abi
from bulkhead.errors import Damaged
from bulkhead.policy.capabilities import capability_name
from bulkhead.policy.operations import OPERATION_WORDS
from bulkhead.policy.rules import RuleReference
from bulkhead.policy.sockets import socket_text
from bulkhead.report.clock import timestamp
from bulkhead.report.identity import NOBODY, ContainerIdentity
from bulkhead.v1.violation_pb2 import Address, Object, Process, Verdict, Violation

RECORD_BYTES = sizeof(abi.Record)

# Blocks or not, and the word for it. ALLOW is never reported.
VERDICTS = {
    abi.Verdict.AUDIT: Verdict.VERDICT_AUDITED,
    abi.Verdict.WOULD_DENY: Verdict.VERDICT_WOULD_DENY,
    abi.Verdict.DENY: Verdict.VERDICT_DENIED,
    abi.Verdict.KILL: Verdict.VERDICT_KILLED,
}
BLOCKING = frozenset({abi.Verdict.DENY, abi.Verdict.KILL})

TRUNCATIONS = abi.RECORD_OBJECT_TRUNCATED | abi.RECORD_EXECUTABLE_TRUNCATED
UNKNOWN_RULE = RuleReference("", "", "", "", severity="")


class Names(Protocol):
    """What numbers of the kernel boundary mean on this node, now. None where they mean nothing (any more)."""

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """Rule `number` (from 1) of the policy set in slot `set_id`."""

    def container(self, index: int) -> ContainerIdentity | None:
        """The container in slot `index` of the map `containers`."""

    def mount_prefix(self, container_index: int, device: int) -> bytes | None:
        """Where the container mounts the root of the file system on `device` (dev_t), without a final slash."""


def decode(record: bytes, names: Names, offset_ns: int, node: str = "") -> Violation:
    """The violation that one record tells of.

    `record` is a struct record in the machine's byte order; `offset_ns` is added to boot time to get wall time
    (`report.clock`). Raises Damaged for anything that the kernel programs cannot have written.
    """
    raw = parse(record)
    violation = describe(raw, names, offset_ns)
    violation.node = node
    return violation


def parse(record: bytes) -> abi.Record:
    """The structure, with every length and number in it checked. Raises Damaged."""
    if len(record) < RECORD_BYTES:
        raise Damaged(f"a record of the kernel has {len(record)} bytes instead of {RECORD_BYTES}; it is only counted")
    raw = abi.Record.from_buffer_copy(record)
    for name, size, limit in (
        ("object", raw.object_bytes, abi.OBJECT_BYTES),
        ("executable", raw.executable_bytes, abi.EXECUTABLE_BYTES),
        ("arguments", raw.arguments_bytes, abi.ARGUMENTS_BYTES),
    ):
        if size > limit:
            raise Damaged(f"a record of the kernel says {name} has {size} bytes of {limit}; it is only counted")
    if raw.repeat.verdict not in VERDICTS:
        raise Damaged(f"a record of the kernel has verdict {raw.repeat.verdict}; it is only counted")
    if raw.repeat.operation not in OPERATION_WORDS:
        raise Damaged(f"a record of the kernel has operation {raw.repeat.operation}; it is only counted")
    return raw


def describe(raw: abi.Record, names: Names, offset_ns: int) -> Violation:
    """The violation that a checked record tells of."""
    violation = describe_key(raw.repeat, names)
    moment = timestamp(raw.time_ns + offset_ns)
    violation.MergeFrom(
        Violation(
            time=moment,
            boot_time_ns=raw.time_ns,
            object=describe_object(raw, names),
            process=describe_process(raw, offset_ns),
            cgroup_id=raw.cgroup,
            count=1,
            first_time=moment,
            last_time=moment,
            truncated=bool(raw.flags & TRUNCATIONS),
            unresolved=bool(raw.flags & abi.RECORD_UNRESOLVED),
            program_unknown=bool(raw.flags & abi.RECORD_SUBJECT_UNKNOWN),
        )
    )
    return violation


def describe_key(key: abi.RepeatKey, names: Names) -> Violation:
    """What the key alone tells: rule, container, verdict and operation."""
    rule = names.rule(key.set, key.rule) or UNKNOWN_RULE
    who = names.container(key.container) or NOBODY
    return Violation(
        verdict=VERDICTS[abi.Verdict(key.verdict)],
        blocked=key.verdict in BLOCKING,
        policy=rule.policy,
        policy_namespace=rule.policy_namespace,
        rule=rule.rule,
        rule_id=rule.id if rule.policy else "",
        severity=rule.severity,
        message=rule.message,
        tags=rule.tags,
        operation=OPERATION_WORDS[abi.Operation(key.operation)],
        pod=who.pod,
        namespace=who.namespace,
        container=who.container,
        image=who.image,
        workload=who.workload,
        labels=who.labels,
        cgroup=who.cgroup,
    )


def repeated(told: Violation, count: int, first_ns: int, last_ns: int, offset_ns: int) -> Violation:
    """`count` violations equal to `told` between two moments of boot time, nanoseconds."""
    again = Violation()
    again.CopyFrom(told)
    again.count = count
    again.boot_time_ns = last_ns
    again.first_time.CopyFrom(timestamp(first_ns + offset_ns))
    again.last_time.CopyFrom(timestamp(last_ns + offset_ns))
    again.time.CopyFrom(again.last_time)
    return again


def describe_object(raw: abi.Record, names: Names) -> Object:
    """What was accessed, by the operation; of some privileged operations nothing is told."""
    operation = raw.repeat.operation
    if operation in _DESCRIBED:
        return _DESCRIBED[operation](raw)
    if operation >= abi.Operation.TAMPERING and not raw.device:
        return Object()
    path = join_elements(bytes(raw.object[: raw.object_bytes]), bool(raw.flags & abi.RECORD_OBJECT_TRUNCATED))
    if not raw.flags & abi.RECORD_PATH_IN_FILE_SYSTEM:
        return Object(path=path)
    prefix = names.mount_prefix(raw.repeat.container, raw.device)
    if prefix is None:
        return Object(path=path, in_file_system=True)
    return Object(path=prefix + path if path != b"/" else prefix or b"/")


def describe_address(raw: abi.Record) -> Address:
    """The remote end, IPv4 as four bytes."""
    whole = bytes(raw.address)
    mapped = IPv6Address(whole).ipv4_mapped
    return Address(ip=mapped.packed if mapped else whole, port=ntohs(raw.port), protocol=raw.protocol)


# What is not a path.
_DESCRIBED: dict[int, Callable[[abi.Record], Object]] = {
    abi.Operation.CAPABILITY: lambda raw: Object(capability=capability_name(raw.number)),
    abi.Operation.SOCKET: lambda raw: Object(socket=socket_text(raw.number >> 8, raw.number & 0xFF)),
    abi.Operation.PTRACE: lambda raw: Object(pid=raw.number),
    abi.Operation.EGRESS: lambda raw: Object(address=describe_address(raw)),
    abi.Operation.INGRESS: lambda raw: Object(address=describe_address(raw)),
}


def describe_process(raw: abi.Record, offset_ns: int) -> Process:
    """The acting process, as far as the kernel told."""
    executable_cut = bool(raw.flags & abi.RECORD_EXECUTABLE_TRUNCATED)
    executable = bytes(raw.executable[: raw.executable_bytes])
    return Process(
        pid=raw.pid,
        container_pid=raw.namespace_pid,
        executable=join_elements(executable, executable_cut) if executable else b"",
        arguments=split_arguments(bytes(raw.arguments[: raw.arguments_bytes])),
        comm=bytes(raw.comm).split(b"\0", 1)[0],
        uid=raw.uid,
        gid=raw.gid,
        start_time=timestamp(raw.process_start_ns + offset_ns),
        parents=[{"pid": raw.parent}] if raw.parent else [],
        from_packet=bool(raw.flags & abi.RECORD_FROM_PACKET),
        arguments_truncated=bool(raw.flags & abi.RECORD_ARGUMENTS_TRUNCATED),
    )


def join_elements(elements: bytes, truncated: bool = False) -> bytes:
    """An absolute path from its elements, last one first, each {u8 length, bytes}. No element at all is "/".

    What is cut of a path is its beginning: such a path starts with "..." instead of "/". Raises Damaged where the
    elements do not end where the bytes do.
    """
    names = []
    position = 0
    while position < len(elements):
        end = position + 1 + elements[position]
        if end > len(elements):
            raise Damaged("a path element in a record of the kernel ends beyond its field; it is only counted")
        names.append(elements[position + 1 : end])
        position = end
    names.reverse()
    return (b".../" if truncated else b"/") + b"/".join(names)


def split_arguments(arguments: bytes) -> list[bytes]:
    """A command line whose parts end with NUL each; the last NUL is missing where the line was cut."""
    return arguments.removesuffix(b"\0").split(b"\0") if arguments else []
