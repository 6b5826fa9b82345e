"""An entry as people and other programs read it: JSON with settled names, a line of text, Falco's JSON. Pure.

Names of files are bytes. In JSON they are text with what is not UTF-8 escaped as `\\xff`; in a line for a terminal
everything that could move its cursor is escaped, too, because names come from the attacker.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from google.protobuf.timestamp_pb2 import Timestamp

from bulkhead.v1.violation_pb2 import Address, Entry, Gap, GapReason, Object, Process, Verdict

PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
PRIORITIES = {"Low": "Notice", "Medium": "Warning", "High": "Error", "Critical": "Critical"}
COLOURS = {"DENIED": "31", "KILLED": "1;31", "AUDITED": "33", "WOULD_DENY": "36", "GAP": "35"}


def to_json(entry: Entry, identity: str = "", cursor: int = 0) -> dict[str, object]:
    """The object of design "Violation": stable names, one meaning each. `identity` is node/boot/sequence."""
    if entry.HasField("gap"):
        return {"id": identity, "cursor": cursor, "gap": gap_to_json(entry.gap)}
    told = entry.violation
    return {
        "id": identity,
        "cursor": cursor,
        "time": moment(told.time),
        "verdict": verdict_word(told.verdict),
        "blocked": told.blocked,
        "policy": told.policy,
        "policy_namespace": told.policy_namespace,
        "rule": told.rule,
        "rule_id": told.rule_id,
        "severity": told.severity,
        "message": told.message,
        "tags": list(told.tags),
        "operation": told.operation,
        "object": object_text(told.object),
        "process": process_to_json(told.process),
        "pod": told.pod,
        "namespace": told.namespace,
        "container": told.container,
        "image": told.image,
        "workload": told.workload,
        "labels": dict(told.labels),
        "node": told.node,
        "cgroup": told.cgroup,
        "count": told.count,
        "first_time": moment(told.first_time),
        "last_time": moment(told.last_time),
        "truncated": told.truncated or told.process.arguments_truncated,
        "unresolved": told.unresolved,
        "program_unknown": told.program_unknown,
    }


def gap_to_json(gap: Gap) -> dict[str, object]:
    """What is known about violations that are counted only."""
    return {
        "count": gap.count,
        "node": gap.node,
        "cgroup": gap.cgroup,
        "rule": gap.rule,
        "reason": reason_word(gap.reason),
        "detail": gap.detail,
        "first_time": moment(gap.first_time),
        "last_time": moment(gap.last_time),
        "policy": gap.policy,
        "policy_namespace": gap.policy_namespace,
        "pod": gap.pod,
        "namespace": gap.namespace,
        "verdict": verdict_word(gap.verdict),
    }


def process_to_json(process: Process) -> dict[str, object]:
    """The acting process. `start_time` is empty where the kernel did not tell."""
    return {
        "pid": process.pid,
        "container_pid": process.container_pid,
        "executable": text(process.executable),
        "arguments": [text(argument) for argument in process.arguments],
        "comm": text(process.comm),
        "uid": process.uid,
        "gid": process.gid,
        "start_time": moment(process.start_time),
        "parents": [{"pid": parent.pid, "comm": text(parent.comm)} for parent in process.parents],
        "from_packet": process.from_packet,
    }


def to_text(entry: Entry, colours: bool = False) -> str:
    """One line for people: when, what was done, whose rule, who did what, where."""
    if entry.HasField("gap"):
        return gap_to_text(entry.gap, colours)
    told = entry.violation
    word = verdict_word(told.verdict)
    policy = f"{told.policy_namespace}/{told.policy}" if told.policy_namespace else told.policy
    where = "/".join(part for part in (told.namespace, told.pod, told.container) if part) or told.cgroup
    who = text(told.process.executable) or text(told.process.comm) or "?"
    trust = " (untrusted)" if told.program_unknown else ""
    line = (
        f"{policy}:{told.rule}  {told.operation} {object_text(told.object) or '?'}"
        f"  by {who}[{told.process.pid}]{trust}  in {where or '?'}"
    )
    if told.node:
        line += f" on {told.node}"
    if told.count > 1:
        line += f"  x{told.count}"
    if told.message:
        line += f'  "{told.message}"'
    return f"{moment(told.time) or '-'}  {coloured(f'{word:<10}', word, colours)}  {printable(line)}"


def gap_to_text(gap: Gap, colours: bool = False) -> str:
    """One line for people about what is missing."""
    count = str(gap.count) if gap.count else "an unknown number of"
    whose = gap.rule or "several rules"
    where = "/".join(part for part in (gap.namespace, gap.pod) if part) or gap.cgroup or "several containers"
    line = f"{count} violations are not shown: {reason_word(gap.reason)} ({gap.detail})  {whose}  in {where}"
    if gap.node:
        line += f" on {gap.node}"
    return f"{moment(gap.last_time) or '-'}  {coloured('GAP       ', 'GAP', colours)}  {printable(line)}"


def to_falco(entry: Entry, identity: str = "") -> dict[str, object]:
    """The JSON that Falco writes, so that whatever reads Falco's alerts reads ours."""
    line = to_text(entry).split("  ", 1)[1].strip()
    if entry.HasField("gap"):
        gap = entry.gap
        fields: dict[str, object] = {"bulkhead.id": identity, "bulkhead.gap.count": gap.count}
        fields["bulkhead.gap.reason"] = reason_word(gap.reason)
        return falco(gap.node, line, fields, "Warning", "Bulkhead gap", ["gap"], moment(gap.last_time))
    told = entry.violation
    fields = {
        "bulkhead.id": identity,
        "bulkhead.verdict": verdict_word(told.verdict),
        "bulkhead.policy": told.policy,
        "bulkhead.policy_namespace": told.policy_namespace,
        "bulkhead.operation": told.operation,
        "bulkhead.object": object_text(told.object),
        "bulkhead.count": told.count,
        "evt.time": told.time.seconds * 1_000_000_000 + told.time.nanos,
        "fd.name": object_text(told.object),
        "proc.pid": told.process.pid,
        "proc.name": text(told.process.comm),
        "proc.exepath": text(told.process.executable),
        "proc.cmdline": " ".join(text(argument) for argument in told.process.arguments),
        "user.uid": told.process.uid,
        "container.name": told.container,
        "container.image.repository": told.image,
        "k8s.pod.name": told.pod,
        "k8s.ns.name": told.namespace,
    }
    priority = PRIORITIES.get(told.severity, "Warning")
    return falco(told.node, line, fields, priority, f"{told.policy}: {told.rule}", list(told.tags), moment(told.time))


def falco(  # noqa: PLR0913, PLR0917  # the fields of that format
    node: str, output: str, fields: dict[str, object], priority: str, rule: str, tags: list[str], time: str
) -> dict[str, object]:
    """The outer object of Falco's JSON."""
    return {
        "hostname": node,
        "output": output,
        "output_fields": fields,
        "priority": priority,
        "rule": rule,
        "source": "bulkhead",
        "tags": tags,
        "time": time,
    }


def object_text(accessed: Object) -> str:
    """A path, 127.0.0.1:9001/tcp, NET_RAW, packet/raw, or pid 17. Empty where it is not known or there is none."""
    kind = accessed.WhichOneof("kind")
    if kind == "path":
        return text(accessed.path)
    if kind == "address":
        return address_text(accessed.address)
    if kind == "pid":
        return f"pid {accessed.pid}"
    return accessed.socket if kind == "socket" else accessed.capability


def address_text(address: Address) -> str:
    """host:port/protocol, IPv6 in brackets; a protocol without a name by its number."""
    host = "?"
    if len(address.ip) in {4, 16}:
        ip = ip_address(address.ip)
        host = str(ip) if ip.version == 4 else f"[{ip}]"
    return f"{host}:{address.port}/{PROTOCOLS.get(address.protocol, str(address.protocol))}"


def text(name: bytes) -> str:
    """Text with what is not UTF-8 escaped as \\xff."""
    return name.decode("utf-8", errors="backslashreplace")


def printable(line: str) -> str:
    """The line with everything escaped that a terminal might obey."""
    if line.isprintable():
        return line
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in line)


def moment(time: Timestamp) -> str:
    """RFC 3339 in UTC with nanoseconds; empty where it is not set."""
    if not time.seconds and not time.nanos:
        return ""
    return f"{datetime.fromtimestamp(time.seconds, UTC):%Y-%m-%dT%H:%M:%S}.{time.nanos:09d}Z"


def verdict_word(verdict: Verdict) -> str:
    """DENIED, KILLED, AUDITED or WOULD_DENY; empty where it is not known."""
    if not verdict:
        return ""
    return Verdict.Name(verdict).removeprefix("VERDICT_") if verdict in Verdict.values() else str(verdict)


def reason_word(reason: GapReason) -> str:
    """SPOOL_FULL and the like; a reason that this version does not know by its number."""
    return GapReason.Name(reason).removeprefix("GAP_REASON_") if reason in GapReason.values() else str(reason)


def coloured(shown: str, word: str, colours: bool) -> str:
    """With the terminal's colour for that word, if wanted."""
    return f"\x1b[{COLOURS.get(word, '0')}m{shown}\x1b[0m" if colours else shown
