"""Which process stands for a container, among real processes in namespaces of their own.

A folder with a file cgroup.procs stands for the cgroup: the machine's own hierarchy is left alone.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bulkhead.node.cgroups import Cgroup
from bulkhead.node.processes import Representatives, representative
from bulkhead.node.turns import Turns


def children(pid: int) -> list[int]:
    """Of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def family() -> Iterator[list[int]]:
    """The first process of a namespace, another one in it that is a little younger, and the first of a nested one."""
    script = "sleep 1000 & unshare --pid --fork sh -c 'echo; sleep 1000; true' & wait"
    with subprocess.Popen(["unshare", "--pid", "--fork", "sh", "-c", script], stdout=subprocess.PIPE) as outer:
        assert outer.stdout
        outer.stdout.readline()  # the nested one runs
        (first,) = children(outer.pid)
        sleeper, inner = children(first)
        (nested,) = children(inner)
        yield [first, sleeper, nested]
        os.kill(first, 9)  # its namespace ends with it
        outer.stdout.close()


def cgroup_of(folder: Path, pids: list[int]) -> Cgroup:
    """A folder with these processes."""
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return Cgroup(folder, 7)


def test_the_first_of_the_namespace_stands_for_it(family: list[int]) -> None:
    """Wherever it is in the list, and whoever has made a namespace of its own."""
    first, sleeper, nested = family
    for order in ([first, sleeper, nested], [nested, sleeper, first]):
        found = representative(order)
        assert found is not None
        assert found.pid == first


def test_where_it_is_not_among_them_the_oldest_does(family: list[int]) -> None:
    """As in a container that shares its pod's namespace."""
    ours = os.getpid()  # older, and the first of nothing
    found = representative([family[1], ours])
    assert found is not None
    assert found.pid == ours


def test_one_that_has_ended_is_replaced(family: list[int], tmp_path: Path) -> None:
    """By what is left; nothing is left at last."""
    short = subprocess.Popen(["sleep", "1000"])
    representatives = Representatives(Turns(1, every_s=0))
    assert representatives.of([cgroup_of(tmp_path, [short.pid])]) == {7: short.pid}
    assert representatives.of([cgroup_of(tmp_path, [family[1], short.pid])]) == {7: short.pid}
    short.kill()
    short.wait()
    assert representatives.of([cgroup_of(tmp_path, [short.pid, family[1]])]) == {7: family[1]}
    assert representatives.of([cgroup_of(tmp_path, [short.pid])]) == {}


def test_who_was_moved_out_is_noticed_in_its_turn(tmp_path: Path) -> None:
    """Of two containers one is listed at each look; whoever has ended is noticed at once."""
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(4)]
    pids = [each.pid for each in sleepers]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()

    def hold(first: list[int], second: list[int]) -> list[Cgroup]:
        return [replace(cgroup_of(folders[0], first), id=1), replace(cgroup_of(folders[1], second), id=2)]

    representatives = Representatives(Turns(1, every_s=0))
    assert representatives.of(hold(pids[:2], pids[2:])) == {1: pids[0], 2: pids[2]}
    moved = hold(pids[1:2], pids[3:])
    assert representatives.of(moved) == {1: pids[0], 2: pids[3]}
    assert representatives.of(moved) == {1: pids[1], 2: pids[3]}
    for each in sleepers:
        each.kill()
        each.wait()
    assert representatives.of(hold([], [])) == {}
