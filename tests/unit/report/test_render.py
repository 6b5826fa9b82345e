"""Entries for people and programs: stable names, and nothing that a terminal would obey."""

from __future__ import annotations

import json

import pytest

from bulkhead import abi
from bulkhead.report.decode import decode
from bulkhead.report.render import to_falco, to_json, to_text
from bulkhead.v1.violation_pb2 import Address, Entry, Gap, GapReason, Object, Verdict
from tests.unit.report.samples import NAMES, record, to_address

OFFSET_NS = 1_763_973_000_123_456_789


def rendered(made: abi.Record) -> dict[str, object]:
    """As JSON."""
    violation = decode(bytes(made), NAMES, OFFSET_NS, "node-1")
    return to_json(Entry(violation=violation), "node-1/boot/7", 99)


def test_the_settled_names_are_there() -> None:
    """Every name that other programs hold on to, with the form it has."""
    made = rendered(record(uid=1000))
    assert set(made) >= {
        "id", "cursor", "time", "verdict", "policy", "policy_namespace", "rule", "severity", "message", "tags",
        "operation", "object", "process", "pod", "namespace", "container", "image", "workload", "node", "count",
        "first_time", "last_time", "truncated",
    }  # fmt: skip
    assert (made["id"], made["cursor"], made["verdict"], made["operation"]) == ("node-1/boot/7", 99, "DENIED", "Exec")
    assert (made["object"], made["time"]) == ("/bin/sh", "2025-11-24T08:30:02.123456789Z")
    process = made["process"]
    assert isinstance(process, dict)
    assert set(process) >= {"pid", "executable", "arguments", "uid", "start_time", "parents"}
    assert (process["executable"], process["arguments"], process["uid"]) == ("/usr/bin/bash", ["bash", "-c"], 1000)
    assert process["parents"] == [{"pid": 1, "comm": ""}]


@pytest.mark.parametrize(
    ("address", "port", "protocol", "expected"),
    [
        ("127.0.0.1", 9001, 6, "127.0.0.1:9001/tcp"),
        ("2001:db8::1", 53, 17, "[2001:db8::1]:53/udp"),
        ("10.0.0.1", 0, 47, "10.0.0.1:0/47"),
    ],
)
def test_an_address_is_one_word(address: str, port: int, protocol: int, expected: str) -> None:
    """host:port/protocol, IPv6 in brackets."""
    assert rendered(to_address(record(abi.Operation.EGRESS), address, port, protocol))["object"] == expected


def test_a_capability_is_its_name() -> None:
    """As the policy writes it."""
    assert rendered(record(abi.Operation.CAPABILITY, number=13))["object"] == "NET_RAW"


def test_bytes_that_are_no_text_are_escaped() -> None:
    """Never fatal, and still JSON."""
    made = rendered(record(path=b"/tmp/\xff\xc3\xa4\n"))
    assert json.loads(json.dumps(made))["object"] == "/tmp/\\xff\u00e4\n"


def test_a_line_says_it_in_one_line() -> None:
    """When, what, whose rule, who, where; a count only where it is more than one."""
    violation = decode(bytes(record()), NAMES, OFFSET_NS, "node-1")
    line = to_text(Entry(violation=violation))
    assert line == (
        "2025-11-24T08:30:02.123456789Z  DENIED      shop/web:no-shells  Exec /bin/sh  by /usr/bin/bash[100]"
        '  in shop/web-0/web on node-1  "no shells in web"'
    )
    violation.count = 3
    assert "  x3" in to_text(Entry(violation=violation))


def test_a_name_cannot_drive_the_terminal() -> None:
    """Escape sequences and line ends of the attacker's come out as text, with colours on or off."""
    violation = decode(bytes(record(path=b"/tmp/\x1b[2J\r\n\xe2\x80\xae")), NAMES, OFFSET_NS)
    line = to_text(Entry(violation=violation))
    assert line.isprintable()
    assert "\\x1b[2J\\r\\n\\u202e" in line
    assert to_text(Entry(violation=violation), colours=True).count("\x1b") == 2


def test_a_gap_is_an_object_of_its_own() -> None:
    """Under the key `gap`, and as a line that says how many of whose are missing, and why."""
    gap = Gap(count=7, node="node-1", cgroup="/c", rule="shop/web/exec/r", reason=GapReason.GAP_REASON_SPOOL_FULL)
    gap.last_time.seconds = 1
    made = to_json(Entry(gap=gap), "node-1/b/1", 3)
    told = made["gap"]
    assert isinstance(told, dict)
    assert set(told) >= {"count", "node", "cgroup", "rule", "reason", "first_time", "last_time"}
    assert (told["count"], told["reason"], told["first_time"]) == (7, "SPOOL_FULL", "")
    assert "7 violations are not shown: SPOOL_FULL" in to_text(Entry(gap=gap))
    assert to_falco(Entry(gap=gap))["rule"] == "Bulkhead gap"


def test_falco_gets_its_own_names() -> None:
    """The fields that every output of Falco's reads."""
    violation = decode(bytes(record()), NAMES, OFFSET_NS, "node-1")
    made = to_falco(Entry(violation=violation), "id-1")
    assert set(made) == {"hostname", "output", "output_fields", "priority", "rule", "source", "tags", "time"}
    assert (made["priority"], made["rule"], made["tags"]) == ("Error", "web: no-shells", ["a", "b"])
    fields = made["output_fields"]
    assert isinstance(fields, dict)
    assert (fields["proc.cmdline"], fields["k8s.pod.name"], fields["fd.name"]) == ("bash -c", "web-0", "/bin/sh")


def test_what_a_newer_agent_says_is_shown_as_far_as_possible() -> None:
    """An unknown verdict is a number, an address of a strange length is "?", nothing known is empty."""
    entry = Entry()
    entry.violation.object.CopyFrom(Object(address=Address(ip=b"abc", port=1, protocol=6)))
    entry.violation.MergeFromString(b"\x18\x63")  # verdict = 99
    assert entry.violation.verdict not in Verdict.values()
    made = to_json(entry)
    assert (made["verdict"], made["object"], made["time"]) == ("99", "?:1/tcp", "")
    assert "?" in to_text(Entry(violation={}))


def test_a_line_says_that_a_program_is_not_trusted_as_itself() -> None:
    """Or nobody would understand why a rule that allows it did not hold."""
    made = decode(bytes(record(flags=abi.RECORD_SUBJECT_UNKNOWN)), NAMES, OFFSET_NS)
    assert "/usr/bin/bash[" in to_text(Entry(violation=made))
    assert "] (untrusted)  in " in to_text(Entry(violation=made))
    assert "untrusted" not in to_text(Entry(violation=decode(bytes(record()), NAMES, OFFSET_NS)))
