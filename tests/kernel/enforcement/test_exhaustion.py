"""What is full falls to the side that docs/limits.md names: what was enforced goes on, nothing is lost count of."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bulkhead import abi
from bulkhead.enforcement import roots
from bulkhead.enforcement.ranges import Numbers, Ranges
from bulkhead.errors import DoesNotFit
from bulkhead.kernel.maps import Map, pack
from tests.kernel.enforcement.box import Bench, policy

NOBODY = 0xFFFFFFFF  # no container, set or epoch
DENY_ID = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: ["/usr/bin/id"]}]
""")
DENY_OTHERS = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: ["/usr/bin/whoami", "/usr/bin/groups"]}]
  network:
    egress: {rules: [{action: Deny, to: [{cidr: 192.0.2.0/24}]}]}
""")


def deny_reading(path: Path) -> str:
    """A policy."""
    return policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{path}/**"]}}]
""")


@contextmanager
def full(target: Map, key: type[abi.AnchorKey | abi.CounterKey | abi.RepeatKey], value: bytes) -> Iterator[None]:
    """Fill what is left of a hash with entries of nobody."""
    names = [name for name, *_ in key._fields_][:2]
    written: list[bytes] = []
    try:
        with suppress(DoesNotFit):
            while True:
                written.append(pack(key(**{names[0]: NOBODY, names[1]: len(written)})))
                target.put(written[-1], value)
        yield
    finally:
        for each in written:
            target.remove(each)


def total(told: list[dict[str, Any]]) -> int:
    """Violations, those of gaps included."""
    return sum(each["count"] if "count" in each else each["gap"]["count"] for each in told)


@contextmanager
def none_left(of: Ranges | Numbers) -> Iterator[None]:
    """Nothing more is given out."""
    before = of._limit, of._taken
    if isinstance(of, Ranges):
        of._limit = of._first + of.used()
    else:
        of._taken = set(range(of._first, of._limit))
    try:
        yield
    finally:
        of._limit, of._taken = before


@pytest.mark.parametrize("what", ["ids", "arena", "outcomes", "classes"])
def test_a_set_that_does_not_fit_changes_nothing(bench: Bench, what: str) -> None:
    """Refused with the number and the limit; the old set goes on, no room is lost, and then it fits."""
    room = getattr(bench.enforcer._sets._room, what)
    with bench.box(DENY_ID) as box:
        used = len(room._taken)
        with none_left(room), pytest.raises(DoesNotFit, match="the limit is"):
            box.apply(DENY_OTHERS)
        assert len(room._taken) == used
        assert box.run("/usr/bin/id").status == 126
        assert box.run("/usr/bin/whoami").status == 0
        assert box.apply(DENY_OTHERS)
        assert box.run("/usr/bin/id").status == 0
        assert box.run("/usr/bin/whoami").status == 126


def test_anchors_that_are_full_leave_the_old_set_in_force(bench: Bench) -> None:
    """The map itself is full: what was written of the new set is taken back."""
    with bench.box(DENY_ID) as box:
        before = len(bench.instance.maps["anchors"].items())
        with (
            full(bench.instance.maps["anchors"], abi.AnchorKey, bytes(4)),
            pytest.raises(DoesNotFit, match="entries of map anchors"),
        ):
            box.apply(DENY_OTHERS)
        assert len(bench.instance.maps["anchors"].items()) == before
        assert box.run("/usr/bin/id").status == 126
        assert box.run("/usr/bin/whoami").status == 0


def test_more_mounts_than_are_looked_at_leave_the_old_set_in_force(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before one of them is opened, by the number of mounts, or by that of descriptors that the agent has."""
    with bench.box(DENY_ID) as box:
        for limit, count in ((roots, "MAX_MOUNTS"), (roots.resource, "getrlimit")):
            monkeypatch.setattr(limit, count, 3 if limit is roots else lambda _: (7, 7))
            with pytest.raises(DoesNotFit, match=r"mounts of one process: .* the limit is 3;"):
                box.apply(DENY_OTHERS)
            monkeypatch.undo()
            assert box.run("/usr/bin/id").status == 126
        assert box.apply(DENY_OTHERS)
        assert box.run("/usr/bin/whoami").status == 126


def test_one_container_too_many_is_refused_and_others_go_on(bench: Bench) -> None:
    """The message has the number; when one ends, the next one fits."""
    with bench.box(DENY_ID) as box:
        with (
            none_left(bench.enforcer._indices._numbers),
            pytest.raises(DoesNotFit, match="containers under policy on this node"),
            bench.box(DENY_OTHERS),
        ):
            pass
        assert box.run("/usr/bin/id").status == 126
        with bench.box(DENY_OTHERS) as other:
            assert other.run("/usr/bin/whoami").status == 126


TABLES = {
    "counters": (abi.CounterKey, bytes(8)),
    "repeats": (abi.RepeatKey, struct.pack("<QQQ", 0, 1 << 62, 0)),
}


@pytest.mark.parametrize("name", TABLES)
def test_what_is_counted_stays_exact_when_tables_are_full(bench: Bench, tmp_path: Path, name: str) -> None:
    """Denied all the same, and counted at its site; the free neighbour is read."""
    (tmp_path / "covered").mkdir()
    for path in ("covered/a", "free"):
        (tmp_path / path).write_text("x")
    script = f"for n in 1 2 3 4 5; do cat {tmp_path}/covered/a; done; cat {tmp_path}/free"
    with bench.box(deny_reading(tmp_path / "covered")) as box, full(bench.instance.maps[name], *TABLES[name]):
        before = bench.instance.statistics()[f"{name}_full"]
        done = box.sh(script)
        assert (done.out, done.err.count("Operation not permitted")) == ("x", 5)
        assert bench.instance.statistics()[f"{name}_full"] == before + 5
        assert total(box.violations()) == 5


def test_records_that_do_not_fit_are_told_as_gaps(bench: Bench, tmp_path: Path) -> None:
    """Nobody reads while more different files are denied than the buffer holds records of: the numbers add up."""
    count = abi.EVENT_BUFFER_BYTES // 2_000
    covered = tmp_path / "covered"
    covered.mkdir()
    for number in range(count):
        (covered / f"{number}").touch()
    loop = f"""
import os
denied = 0
for number in range({count}):
    try: os.close(os.open(f"{covered}/{{number}}", os.O_RDONLY))
    except PermissionError: denied += 1
print(denied)
"""
    with bench.box(deny_reading(covered)) as box:
        before = bench.instance.statistics()["records_lost"]
        assert box.run("python3", "-S", "-c", loop).out == f"{count}\n"
        assert bench.instance.statistics()["records_lost"] > before
        told = box.violations()
    assert total(told) == count
