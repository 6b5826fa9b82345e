"""What the maps should hold of containers is written again where it is not so, and nothing else is touched."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import cast

import pytest

from bulkhead import abi
from bulkhead.enforcement.bindings import Bindings
from bulkhead.enforcement.drift import MAPS, Expected, repair
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.maps import Map, Maps, pack, word
from bulkhead.kernel.plan import Parameters
from bulkhead.node import cgroups
from bulkhead.node.container import Container

RULING = 7 << abi.RULING_EPOCH_SHIFT | 3


class Table(dict[bytes, bytes]):
    """A map; `writes` counts."""

    writes = 0

    def put(self, key: bytes, value: bytes) -> None:
        """As `Map`."""
        self[key] = value
        self.writes += 1

    def remove(self, key: bytes) -> bool:
        """As `Map`."""
        return self.pop(key, None) is not None


def identifier(path: Path) -> int:
    """As `cgroup_id`, of a folder: its inode number."""
    if not path.is_dir():
        raise NotEnforceable(f"cgroup {path}: there is none")
    return path.stat().st_ino


def number(path: Path) -> bytes:
    """By which a cgroup is bound."""
    return struct.pack("<Q", path.stat().st_ino)


class Node:
    """Two containers, in folders that stand for cgroups, and maps that are as they should be."""

    def __init__(self, folder: Path) -> None:
        self.web, self.side = folder / "web", folder / "side"
        (self.web / "child/grandchild").mkdir(parents=True)
        self.side.mkdir()
        self.maps = {name: Table() for name in MAPS}
        self.bindings = Bindings(cast(Map, self.maps["bindings"]), Parameters(cgroup_storage=False))
        self.expected = [self._container(self.web, 1), self._container(self.side, 2)]

    def _container(self, path: Path, index: int) -> Expected:
        identifier = path.stat().st_ino
        self.maps["containers"].put(word(index), struct.pack("<Q", RULING))
        self.maps["homes"].put(word(index), struct.pack("<Q", identifier))
        state = abi.NetworkState(container=index, packets_denied=5)
        self.maps["network"].put(struct.pack("<Q", identifier), pack(state))
        container = Container(path.name, path, identifier)
        self.bindings.bind(container, index)
        return Expected(container, index, RULING, has_network=True)

    def repair(self) -> dict[str, int]:
        """What was written."""
        return dict(repair(cast(Maps, self.maps), self.bindings, self.expected))

    def bound(self, path: Path) -> bytes:
        """Under which number."""
        return self.maps["bindings"][number(path)]


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Its kernel binds by cgroup id."""
    monkeypatch.setattr(cgroups, "cgroup_id", identifier)
    return Node(tmp_path)


def test_what_is_as_it_should_be_is_not_written(node: Node) -> None:
    """A check costs reads only."""
    before = {name: table.writes for name, table in node.maps.items()}
    assert node.repair() == {}
    assert {name: table.writes for name, table in node.maps.items()} == before


@pytest.mark.parametrize("wrong", [bytes(8), struct.pack("<Q", RULING + 1)])
def test_a_ruling_that_is_not_the_containers_is_written_again(node: Node, wrong: bytes) -> None:
    """None at all, which would let everything through, or another's."""
    node.maps["containers"][word(1)] = wrong
    assert node.repair() == {"containers": 1}
    assert node.maps["containers"][word(1)] == struct.pack("<Q", RULING)
    assert node.repair() == {}


def test_cgroups_that_are_not_bound_are(node: Node) -> None:
    """A child that the kernel had no memory to bind, and what was made below it since; one that is bound wrongly."""
    del node.maps["bindings"][number(node.web / "child")]
    del node.maps["bindings"][number(node.web / "child/grandchild")]
    node.maps["bindings"][number(node.side)] = word(9)
    assert node.repair() == {"bindings": 3}
    assert [node.bound(path) for path in (node.web / "child/grandchild", node.side)] == [word(1), word(2)]


def test_a_container_below_another_is_its_own(node: Node) -> None:
    """Patterns of cgroups may overlap: each is bound to its own number."""
    inner = node.web / "child"
    node.expected.append(node._container(inner, 3))
    assert node.repair() == {}
    node.maps["bindings"][number(inner)] = word(1)
    assert node.repair() == {"bindings": 1}
    assert node.bound(inner) == word(3)
    assert node.bound(inner / "grandchild") == word(3)


def test_a_cgroup_that_is_bound_alone(node: Node) -> None:
    """What is made below inherits it, and is found by its own policies or freed; what is bound to others stays so."""
    alone = Container("web", node.web, node.web.stat().st_ino, of_node=True, alone=True)
    node.bindings.bind(alone, 5)
    assert [node.bound(path) for path in (node.web, node.web / "child")] == [word(5), word(1)]
    pods = node.web / "kubepods/pod"
    pods.mkdir(parents=True)
    for path in (pods, pods.parent, node.web / "child/grandchild"):
        node.maps["bindings"][number(path)] = word(5)
    node.bindings.spare(pods.parent, {5})
    node.bindings.spare(node.web / "child", {5})
    assert {number(pods), number(pods.parent)}.isdisjoint(node.maps["bindings"])
    node.bindings.unbind(alone, 5)
    assert number(node.web) not in node.maps["bindings"]
    assert number(node.web / "child/grandchild") not in node.maps["bindings"]
    assert node.bound(node.web / "child") == word(1)


def test_a_cgroup_that_has_gone_is_left_alone(node: Node) -> None:
    """Also where another one was made at its path; its ruling holds for whoever left it."""
    node.side.rmdir()
    del node.maps["containers"][word(2)]
    assert node.repair() == {"containers": 1}
    node.web.rename(node.side)
    assert node.repair() == {}
    assert node.bound(node.side) == word(1)


def test_packets_are_judged_for_the_right_container(node: Node) -> None:
    """Written again without what was counted being lost; programs that are not there have no entry."""
    key = struct.pack("<Q", node.expected[0].container.cgroup_id)
    node.maps["network"][key] = pack(abi.NetworkState(packets_denied=5))
    del node.maps["network"][struct.pack("<Q", node.expected[1].container.cgroup_id)]
    node.maps["homes"][word(2)] = bytes(8)
    assert node.repair() == {"network": 1, "homes": 1}
    state = abi.NetworkState.from_buffer_copy(node.maps["network"][key])
    assert (state.container, state.packets_denied) == (1, 5)
