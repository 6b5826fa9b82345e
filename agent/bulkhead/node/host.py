"""Which cgroups hold processes of the node itself, and which of these are under the same policies. Reads names only.

A cgroup all of whose descendants are under the same policies is one unit, with what will be made below it. One above
cgroups of pods, or of others than its own policies, is a unit for itself alone, and those below it are units of their
own: policies are never nested, so that no packet is judged twice. Cgroups of pods and of other containers are told by
their names, where root made them: whoever was given a part of the hierarchy may call cgroups there what he likes.
Next step: `agent.cluster.host`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bulkhead.errors import NotEnforceable
from bulkhead.node.cgroups import Cgroup, cgroup_id
from bulkhead.node.kubepods import container_id, is_whole, pod_uid

ROOT_UID = 0

Name = TypeVar("Name")


@dataclass(frozen=True)
class Unit(Generic[Name]):
    """A cgroup under some policies, by their names. `path` is below the root of the hierarchy: `/system.slice`."""

    cgroup: Cgroup
    path: str
    policies: frozenset[Name]
    alone: bool


@dataclass(frozen=True)
class Layout(Generic[Name]):
    """Units, those below others before these, and the topmost cgroups of containers, which are none."""

    units: tuple[Unit[Name], ...] = ()
    spared: tuple[Path, ...] = ()


@dataclass(frozen=True)
class _Part(Generic[Name]):
    """What was found at a cgroup and below it; `uniform` are the policies of all of it, None where they differ."""

    uniform: frozenset[Name] | None
    units: tuple[Unit[Name], ...]


def layout(
    root: Path, named: Callable[[str], frozenset[Name]], spared: frozenset[Path] = frozenset(), trusted: int = ROOT_UID
) -> Layout[Name]:
    """The units of the hierarchy at `root`. `named` says which policies name a cgroup; they hold below it, too.

    `spared` are no cgroups of the node's own either; `trusted` is whose cgroups are believed to be of containers.
    """
    found: list[Path] = []

    def visit(path: Path, above: frozenset[Name]) -> _Part[Name]:
        if path in spared or is_of_container(path, trusted):
            found.append(path)
            return _Part(None, ())
        text = f"/{path.relative_to(root)}" if path != root else "/"
        policies = above | named(text)
        parts = [visit(child, policies) for child in _children(path)]
        is_uniform = all(part.uniform == policies for part in parts)
        units = () if is_uniform else tuple(unit for part in parts for unit in part.units)
        own = _unit(path, text, policies, alone=not is_uniform)
        return _Part(policies if is_uniform else None, (*units, *own))

    return Layout(visit(root, frozenset()).units, tuple(found))


def is_of_container(path: Path, trusted: int = ROOT_UID) -> bool:
    """Whether a cgroup is a pod's, a container's, or the kubelet's for all pods."""
    if not (is_whole(path.name) or pod_uid(path.name) or container_id(path.name)):
        return False
    try:
        return path.stat().st_uid == trusted
    except FileNotFoundError:
        return False


def has_processes(cgroup: Path) -> bool:
    """Whether processes are in this very cgroup."""
    try:
        return bool((cgroup / "cgroup.procs").read_bytes())
    except OSError:
        return False


def _unit(path: Path, text: str, policies: frozenset[Name], alone: bool) -> Iterator[Unit[Name]]:
    if not policies:
        return
    try:
        yield Unit(Cgroup(path, cgroup_id(path)), text, policies, alone)
    except NotEnforceable:  # it ended between the two looks
        if path.is_dir():
            raise


def _children(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
