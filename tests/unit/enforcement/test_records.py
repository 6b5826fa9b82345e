"""What is recorded comes back equal; what is not a record is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkhead.enforcement.placement import Placement
from bulkhead.enforcement.records import ContainerRecord, Records
from bulkhead.enforcement.sets import StoredSet
from bulkhead.enforcement.sightings import Sightings
from bulkhead.errors import Damaged
from bulkhead.node.container import Container
from bulkhead.node.mounts import Place
from bulkhead.policy.rules import RuleReference

STORED = StoredSet(
    "d", Placement(1, 2, 3, 4, 5, 6, 7), (RuleReference("n", "p", "s", "r", tags=("t",)),), (b"\0k",), ()
)
RECORD = ContainerRecord(
    3,
    Container("c", Path("/sys/fs/cgroup/c"), 99, pid=5, labels={"a": "b"}),
    12,
    "d",
    "s",
    Sightings(frozenset({Place((8, 1), b"/", b"/m\xff")}), {4: frozenset({((8, 1), b"/")})}),
    {8: b"/m\xff"},
    "mnt:[1]",
)


def test_records_come_back_equal(tmp_path: Path) -> None:
    """Sets and containers, with bytes that are no text."""
    records = Records(tmp_path)
    records.write_set(STORED)
    records.write_container(RECORD)
    assert list(records.sets()) == [STORED]
    assert list(records.containers()) == [RECORD]
    records.remove_set(1)
    records.remove_container(3)
    assert list(records.sets()) == list(records.containers()) == []


def test_fresh_maps_forget_everything(tmp_path: Path) -> None:
    """`clear` leaves no record."""
    records = Records(tmp_path)
    records.write_container(RECORD)
    records.clear()
    assert list(records.containers()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_not_a_record_is_named(tmp_path: Path, text: str) -> None:
    """The error says which file, and what goes on."""
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets/1.json").write_text(text)
    with pytest.raises(Damaged, match=r"1\.json.*goes on being enforced"):
        list(Records(tmp_path).sets())


def test_nowhere_leaves_nothing() -> None:
    """Without a folder records are not kept."""
    records = Records(None)
    records.write_container(RECORD)
    assert list(records.containers()) == []
