"""Where the kubelet and the container runtime put a pod's containers in the cgroup hierarchy.

The kubelet makes one cgroup a pod, the runtime one a container in it. With the cgroupfs driver they are
`kubepods/burstable/podUID/ID`, with systemd's
`kubepods-burstable.slice/kubepods-burstable-podUID.slice/cri-containerd-ID.scope`, where the dashes of UID are
underscores. A nested kubelet has all of it below a cgroup of its own. So a pod's cgroup is known by its uid and a
container's by its id, wherever they are. Sources: pod_container_manager_linux.go and cgroup_manager_linux.go in the
kubelet's pkg/kubelet/cm; containerd and CRI-O put their prefix before ID. Next step: `agent.cluster` binds what is
found here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from bulkhead.errors import NotEnforceable
from bulkhead.node.cgroups import Cgroup, cgroup_id

LEVELS = (
    6  # of the deepest layout known, a kubelet in a container: kubelet.slice, its kubepods, quality of service, pod
)
_UID = re.compile(
    r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$"
)
_WHOLE = re.compile(r"(?:^|-)kubepods(?:\.slice)?$")
_CONTAINER = re.compile(r"^(?:(?:cri-containerd|crio|docker|cri-o)-)?([0-9a-f]{64})(?:\.scope)?$")


def pod_uid(name: str) -> str:
    """The pod's uid in the name of a cgroup, as the API server writes it; empty where it is no pod's.

    A static pod's uid is a hash of 32 digits; the name has no dashes then.
    """
    match = _UID.search(name)
    return match[1].replace("_", "-") if match else ""


def container_id(name: str) -> str:
    """The container's id in the name of a cgroup, or empty."""
    match = _CONTAINER.match(name)
    return match[1] if match else ""


def pods(root: Path) -> dict[str, Path]:
    """The cgroup of every pod below `root`, by uid."""
    return {uid: path for path in _below(root, LEVELS) if (uid := pod_uid(path.name))}


def containers(pod: Path) -> dict[str, Path]:
    """The cgroups of a pod's containers, its sandbox among them, by container id."""
    return {identifier: path for path in _children(pod) if (identifier := container_id(path.name))}


def is_whole(name: str) -> bool:
    """Whether a cgroup of that name is the kubelet's for all pods."""
    return _WHOLE.search(name) is not None


def whole(path: Path) -> Path | None:
    """The cgroup of all pods of the kubelet whose pods' cgroups `path` is among, or None."""
    return next((each for each in path.parents if is_whole(each.name)), None)


class ContainerCgroups:
    """The cgroups of containers by (pod uid, container id), found once and remembered while they exist."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[tuple[str, str], Cgroup] = {}

    def find(self, wanted: Iterable[tuple[str, str]], living: Collection[int] = ()) -> Mapping[tuple[str, str], Cgroup]:
        """Those of `wanted` that are there now. What is not asked for any more is forgotten.

        `living` are ids of cgroups in which a process lives: they are there.
        """
        names = set(wanted)
        known = ((name, cgroup) for name, cgroup in self._known.items() if name in names)
        self._known = {name: cgroup for name, cgroup in known if cgroup.id in living or cgroup.path.is_dir()}
        missing = names - self._known.keys()
        if missing:
            self._look_for(missing)
        return dict(self._known)

    def _look_for(self, missing: set[tuple[str, str]]) -> None:
        present = pods(self._root)
        for uid in {uid for uid, _ in missing if uid in present}:
            for identifier, path in containers(present[uid]).items():
                if (uid, identifier) in missing:
                    self._remember((uid, identifier), path)

    def _remember(self, name: tuple[str, str], path: Path) -> None:
        try:
            self._known[name] = Cgroup(path, cgroup_id(path))
        except NotEnforceable:  # it ended between the two looks
            if path.is_dir():
                raise


def _below(root: Path, levels: int) -> Iterator[Path]:
    """Cgroups down to so many levels, none below a pod's."""
    for child in _children(root):
        yield child
        if levels > 1 and not pod_uid(child.name):
            yield from _below(child, levels - 1)


def _children(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
