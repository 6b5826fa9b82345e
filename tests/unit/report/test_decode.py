"""A record's bytes become the violation that they tell of, or are refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead import abi
from bulkhead.errors import Damaged
from bulkhead.report.clock import nanoseconds
from bulkhead.report.decode import RECORD_BYTES, decode, join_elements
from bulkhead.v1.violation_pb2 import Verdict
from tests.unit.report.samples import NAMES, elements, record, to_address

OFFSET_NS = 1_700_000_000_000_000_000


def test_a_denied_exec_tells_everything() -> None:
    """Rule, container, object, process and both clocks are in the violation."""
    told = decode(bytes(record(uid=1000, namespace_pid=7)), NAMES, OFFSET_NS, "node-1")
    assert (told.policy_namespace, told.policy, told.rule, told.rule_id) == (
        "shop", "web", "no-shells", "shop/web/exec/no-shells",
    )  # fmt: skip
    assert (told.severity, told.message, list(told.tags)) == ("High", "no shells in web", ["a", "b"])
    assert (told.operation, told.object.path, told.verdict, told.blocked) == (
        "Exec", b"/bin/sh", Verdict.VERDICT_DENIED, True,
    )  # fmt: skip
    assert (told.pod, told.namespace, told.container, told.workload) == ("web-0", "shop", "web", "Deployment/web")
    assert (told.node, told.cgroup, told.cgroup_id, dict(told.labels)) == (
        "node-1",
        "/kubepods/web",
        77,
        {"app": "web"},
    )
    process = told.process
    assert (process.pid, process.container_pid, process.uid, process.comm) == (100, 7, 1000, b"bash")
    assert (process.executable, list(process.arguments)) == (b"/usr/bin/bash", [b"bash", b"-c"])
    assert nanoseconds(told.time) == OFFSET_NS + 2_000_000_000
    assert nanoseconds(process.start_time) == OFFSET_NS + 1_000_000_000
    assert (told.boot_time_ns, told.count) == (2_000_000_000, 1)


@pytest.mark.parametrize(
    ("verdict", "word", "blocked"),
    [
        (abi.Verdict.AUDIT, Verdict.VERDICT_AUDITED, False),
        (abi.Verdict.WOULD_DENY, Verdict.VERDICT_WOULD_DENY, False),
        (abi.Verdict.DENY, Verdict.VERDICT_DENIED, True),
        (abi.Verdict.KILL, Verdict.VERDICT_KILLED, True),
    ],
)
def test_each_verdict_has_its_word(verdict: abi.Verdict, word: Verdict, blocked: bool) -> None:
    """Only DENIED and KILLED say that the access was blocked."""
    told = decode(bytes(record(verdict=verdict)), NAMES, OFFSET_NS)
    assert (told.verdict, told.blocked) == (word, blocked)


@pytest.mark.parametrize(
    ("address", "packed"), [("127.0.0.1", b"\x7f\0\0\1"), ("2001:db8::1", b"\x20\x01\x0d\xb8" + bytes(11) + b"\1")]
)
def test_an_address_is_as_long_as_its_family(address: str, packed: bytes) -> None:
    """IPv4 comes as four bytes, not as a mapped IPv6 address; the port in the host's order."""
    told = decode(bytes(to_address(record(abi.Operation.EGRESS), address, 9001, 6)), NAMES, OFFSET_NS)
    assert (told.operation, told.object.address.ip) == ("Egress", packed)
    assert (told.object.address.port, told.object.address.protocol) == (9001, 6)


@pytest.mark.parametrize(("number", "name"), [(13, "NET_RAW"), (40, "CHECKPOINT_RESTORE"), (63, "63")])
def test_a_capability_has_its_name(number: int, name: str) -> None:
    """By the kernel's number; one that is not known stays a number."""
    told = decode(bytes(record(abi.Operation.CAPABILITY, number=number)), NAMES, OFFSET_NS)
    assert told.object.capability == name


def test_tampering_has_its_rule_and_what_was_touched() -> None:
    """The rules of every set are known by themselves; BPF objects have no name to tell."""
    touched = decode(bytes(record(abi.Operation.TAMPERING, path=b"/a/pin", device=5)), NAMES, OFFSET_NS)
    assert (touched.operation, touched.object.path) == ("Tampering", b"/a/pin")
    unnamed = decode(bytes(record(abi.Operation.TAMPERING)), NAMES, OFFSET_NS)
    assert unnamed.object.WhichOneof("kind") is None


def test_a_socket_has_its_names() -> None:
    """Family and type; what policies have no name for stays a number."""
    told = decode(bytes(record(abi.Operation.SOCKET, number=17 << 8 | 3)), NAMES, OFFSET_NS)
    assert (told.operation, told.object.socket) == ("Socket", "packet/raw")
    unnamed = decode(bytes(record(abi.Operation.SOCKET, number=45 << 8 | 6)), NAMES, OFFSET_NS)
    assert unnamed.object.socket == "45/6"


def test_a_privileged_operation_has_its_word_and_what_it_was_about() -> None:
    """The words of the policy; a path where there is one, the traced process, or nothing."""
    mounted = decode(bytes(record(abi.Operation.MOUNT, path=b"/mnt", device=5)), NAMES, OFFSET_NS)
    assert (mounted.operation, mounted.object.path) == ("Mount", b"/mnt")
    loaded = decode(bytes(record(abi.Operation.LOAD_MODULE)), NAMES, OFFSET_NS)
    assert (loaded.operation, loaded.object.WhichOneof("kind")) == ("LoadModule", None)
    traced = decode(bytes(record(abi.Operation.PTRACE, number=17)), NAMES, OFFSET_NS)
    assert (traced.operation, traced.object.pid) == ("Ptrace", 17)


def test_a_path_in_a_file_system_gets_its_mount() -> None:
    """Where the container mounts that file system is put in front; without such a mount the violation says so."""
    known = record(path=b"/a/b", flags=abi.RECORD_PATH_IN_FILE_SYSTEM, device=0x800001)
    told = decode(bytes(known), NAMES, OFFSET_NS)
    assert (told.object.path, told.object.in_file_system) == (b"/data/a/b", False)
    root = decode(bytes(record(path=b"/", flags=abi.RECORD_PATH_IN_FILE_SYSTEM, device=0x800001)), NAMES, OFFSET_NS)
    assert root.object.path == b"/data"
    unknown = decode(bytes(record(path=b"/a/b", flags=abi.RECORD_PATH_IN_FILE_SYSTEM, device=5)), NAMES, OFFSET_NS)
    assert (unknown.object.path, unknown.object.in_file_system) == (b"/a/b", True)


def test_what_was_cut_is_flagged() -> None:
    """A path whose beginning is missing does not look absolute."""
    flags = abi.RECORD_OBJECT_TRUNCATED | abi.RECORD_ARGUMENTS_TRUNCATED | abi.RECORD_UNRESOLVED
    told = decode(bytes(record(flags=flags)), NAMES, OFFSET_NS)
    assert (told.truncated, told.process.arguments_truncated, told.unresolved) == (True, True, True)
    assert told.object.path == b".../bin/sh"


def test_a_program_that_is_not_known_is_flagged() -> None:
    """Where rules ask who acts, the kernel says so."""
    assert decode(bytes(record(flags=abi.RECORD_SUBJECT_UNKNOWN)), NAMES, OFFSET_NS).program_unknown
    assert not decode(bytes(record()), NAMES, OFFSET_NS).program_unknown


def test_unknown_numbers_leave_names_empty() -> None:
    """A rule or container that is gone does not stop the violation."""
    made = record()
    made.repeat.container, made.repeat.rule = 9, 9
    told = decode(bytes(made), NAMES, OFFSET_NS)
    assert (told.policy, told.rule_id, told.pod, told.object.path) == ("", "", "", b"/bin/sh")


@pytest.mark.parametrize("field", ["object_bytes", "executable_bytes", "arguments_bytes"])
def test_a_length_beyond_its_field_is_damage(field: str) -> None:
    """Never read over the end."""
    made = record()
    setattr(made, field, 65_535)
    with pytest.raises(Damaged, match="only counted"):
        decode(bytes(made), NAMES, OFFSET_NS)


def test_impossible_numbers_are_damage() -> None:
    """A short record, an ALLOW, an operation that there is not, an element that goes on behind the object."""
    with pytest.raises(Damaged):
        decode(bytes(record())[:-1], NAMES, OFFSET_NS)
    with pytest.raises(Damaged):
        decode(bytes(record(verdict=abi.Verdict.ALLOW)), NAMES, OFFSET_NS)
    made = record()
    made.repeat.operation = 200
    with pytest.raises(Damaged):
        decode(bytes(made), NAMES, OFFSET_NS)
    with pytest.raises(Damaged):
        join_elements(b"\x05abc")


@given(st.lists(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name), max_size=8))
def test_elements_join_to_the_path_that_they_were(names: list[bytes]) -> None:
    """Any bytes but a slash may be in a name."""
    path = b"/" + b"/".join(names)
    assert join_elements(elements(path)) == path


@settings(max_examples=50)
@given(st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_any_bytes_are_decoded_or_damaged(data: bytes) -> None:
    """Nothing else is ever raised, and a violation always can be serialized."""
    try:
        told = decode(data, NAMES, OFFSET_NS)
    except Damaged:
        return
    assert all(each.SerializeToString() for each in told)
