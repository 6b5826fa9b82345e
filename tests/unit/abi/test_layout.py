"""The structures that Python reads and writes are laid out as the kernel programs expect."""

from __future__ import annotations

import ctypes

import pytest

from bulkhead import abi


@pytest.mark.parametrize(
    ("structure", "size"),
    [
        (abi.ArenaSlot, 8),
        (abi.Outcome, 8 * 12 + 8 + 8 + 4 + 4),
        (abi.PolicySet, 4 * 4 + (8 * 12 + 8 + 8 + 4 + 4) + 8 + 8 + 8 * 64 + 8 * 16 + 8 * 32 + 96 + 64 + 16),
        (abi.PrefixKey, 4 + 4 + 16),
        (abi.PortKey, 4 + 4 + 1 + 1 + 2),
        (abi.RepeatKey, 3 * 4 + 1 + 1 + 2 + 8 + 8),
        (abi.Instance, 4 * 4 + 32),
    ],
)
def test_sizes_are_the_sums_of_the_fields(structure: type[ctypes.Structure], size: int) -> None:
    """No structure holds bytes that no field names: they would reach user space uninitialised."""
    assert ctypes.sizeof(structure) == size


def test_a_record_is_read_at_the_offsets_of_the_header() -> None:
    """A record's bytes mean what probes/include/abi.h says, at offsets counted by hand."""
    raw = bytearray(ctypes.sizeof(abi.Record))
    raw[0:8] = (7).to_bytes(8, "little")
    raw[24:28] = (3).to_bytes(4, "little")  # repeat.container, after three 64-bit words
    raw[36] = abi.Verdict.DENY
    raw[37] = abi.Operation.EXEC
    raw[len(raw) - abi.OBJECT_BYTES] = 42
    record = abi.Record.from_buffer(raw)
    assert record.time_ns == 7
    assert record.repeat.container == 3
    assert (record.repeat.verdict, record.repeat.operation) == (abi.Verdict.DENY, abi.Operation.EXEC)
    assert bytes(record.object)[0] == 42


def test_an_arena_slot_is_one_word_with_next_in_the_low_half() -> None:
    """`policy.image.Automaton.slots` packs a slot as `check << 32 | next`."""
    slot = abi.ArenaSlot(next=0x11223344, check=0x55667788)
    assert int.from_bytes(bytes(slot), "little") == 0x55667788_11223344


def test_operations_decided_by_path_come_first() -> None:
    """`Outcome.decisions` is indexed by operation, so all of them fit in PATH_OPERATIONS entries."""
    by_path = [operation for operation in abi.Operation if operation <= abi.Operation.MAP]
    assert by_path == [abi.Operation(number) for number in range(abi.PATH_OPERATIONS)]


def test_verdicts_are_ordered_by_strictness() -> None:
    """The strictest of several verdicts is their maximum."""
    names = ["ALLOW", "AUDIT", "WOULD_DENY", "DENY", "KILL"]
    assert [verdict.name for verdict in sorted(abi.Verdict)] == names


def test_a_decision_holds_every_part_apart() -> None:
    """Verdict, rule and audit rule of a decision do not overlap."""
    verdict = abi.DECISION_VERDICT_MASK
    rule = abi.DECISION_RULE_MASK << abi.DECISION_RULE_SHIFT
    audit = abi.DECISION_RULE_MASK << abi.DECISION_AUDIT_SHIFT
    assert verdict & rule == rule & audit == verdict & audit == 0
    assert (verdict | rule | audit).bit_length() <= 64
    assert max(abi.Verdict) <= verdict


def test_there_is_a_counter_for_every_statistic() -> None:
    """STATISTICS counts the enumeration."""
    assert [*abi.Statistic] == [*range(abi.STATISTICS)]


def test_maps_have_the_sizes_of_their_structures() -> None:
    """What is compared at load is what Python computes."""
    maps = {definition.name: definition for definition in abi.MAPS}
    assert (maps["sets"].key_bytes, maps["sets"].value_bytes) == (4, ctypes.sizeof(abi.PolicySet))
    assert (maps["events"].key_bytes, maps["events"].value_bytes) == (0, 0)
    assert maps["events"].entries == abi.EVENT_BUFFER_BYTES
    assert maps["arena"].flags == abi.MapFlag.MMAPABLE
    assert maps["bindings"].type is abi.MapType.CGROUP_BINDING


def test_map_identifiers_and_names_are_unique() -> None:
    """A program refers to a map by identifier, a person by name; the kernel keeps 15 bytes of a name."""
    assert len({definition.identifier for definition in abi.MAPS}) == len(abi.MAPS)
    assert len({definition.name for definition in abi.MAPS}) == len(abi.MAPS)
    assert all(len(definition.name) <= 15 for definition in abi.MAPS)


def test_a_full_node_takes_no_more_kernel_memory_than_promised() -> None:
    """1,000 containers with 50 mounts each, sharing 20 sets of 100 rules, nothing yet reported: 40 MB, the ring
    buffer included. What is allocated ahead, and the entries of maps that are not; docs/limits.md has the sum."""
    pointer, element = 8, 48  # bytes of struct htab_elem before the key
    ahead = sum(
        each.entries if each.type == "RINGBUF" else each.entries * -(-each.value_bytes // 8) * 8
        for each in abi.MAPS
        if each.type in ("ARRAY", "RINGBUF")
    )
    buckets = sum(each.entries * 2 * pointer for each in abi.MAPS if each.type == "HASH")
    anchors = 1_000 * 50 * (element + 8 + 8)
    assert ahead + buckets + anchors <= 40_000_000
