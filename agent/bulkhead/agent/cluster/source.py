"""Which container of this node is under which policies: selectors asked, cgroups found.

Selection is worked out anew only when the state has changed; where a container is, and which process stands for it,
each time. A container stays under its policies as long as its cgroup is there, also when its pod's object has gone, or
no longer says that it runs.

Labels of a namespace may be told after its first pod, those of a node after it has begun to run pods. Until then it is
not known whether a policy that asks for them selects a container: what was known of it before goes on, and one that is
new is behind, and does not start where the runtime asks. Next step: `agent.sync`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.agent.cluster.host import HostProcesses, OfNode
from bulkhead.agent.cluster.pods import PodContainer, with_containers
from bulkhead.agent.cluster.selection import Selected, Selection
from bulkhead.agent.cluster.state import ClusterState, Snapshot
from bulkhead.agent.source import Assignment
from bulkhead.agent.sync import Sync
from bulkhead.node.cgroups import Cgroup
from bulkhead.node.container import Container
from bulkhead.node.kubepods import ContainerCgroups, pod_uid
from bulkhead.node.processes import Representatives

NEVER = -1  # no version of the state


@dataclass(frozen=True)
class Look:
    """What was found at one look: the selected containers that are here, by cgroup id, and what was known of policies.

    `of_node` are cgroups of the node's own processes that are under policies, by id.
    `seen` has a word a kind (`policy.seen`); empty before all was known.
    """

    placed: Mapping[int, Selected] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    of_node: Mapping[int, OfNode] = field(default_factory=dict)


class ClusterSource:
    """`agent.source.Source` over what the API server tells.

    The agent's own pod, `own_uid`, is under no policy: one that denies the agent what it needs could not be taken back.
    """

    def __init__(
        self, state: ClusterState, cgroups: ContainerCgroups, own_uid: str = "", host: HostProcesses | None = None
    ) -> None:
        self._state = state
        self._host = host
        self._own_uid = own_uid
        self._cgroups = cgroups
        self._version = NEVER
        self.seen = NEVER  # the newest version that was looked at
        self._selection = Selection()
        self._selected: tuple[Selected, ...] = ()
        self._look = Look()
        self._made: dict[int, tuple[Selected, Assignment]] = {}  # at the last look, by cgroup id
        self._pods: set[str] = set()
        self._representatives = Representatives()

    def read(self) -> tuple[Assignment, ...] | None:
        """None until policies, pods, namespaces and the node have all been listed once."""
        snapshot = self._state.snapshot()
        if snapshot is None:
            return None
        if snapshot.version != self._version:
            self._selected = self._select(snapshot)
            self._version = snapshot.version
        found = self._cgroups.find((selected.name for selected in self._selected), self._representatives.living())
        self._forget_departed(snapshot, {uid for uid, _ in found})
        present = [(selected, found[selected.name]) for selected in self._selected if selected.name in found]
        placed = {cgroup.id: selected for selected, cgroup in present}
        if self._look.placed.keys() - placed:  # some have ended: look no more for those that only we remember
            self._version = NEVER
        of_node = self._host.look(snapshot) if self._host else ()
        self._look = Look(placed, snapshot.seen, self._host.placed if self._host else {})
        self.seen = snapshot.version  # after the look: who asks what became of a container asks when this is so
        processes = self._representatives.of(cgroup for _, cgroup in present)
        self._made = {cgroup.id: self._make(selected, cgroup, processes.get(cgroup.id)) for selected, cgroup in present}
        return *(assignment for _, assignment in self._made.values()), *of_node

    def spared(self) -> tuple[Path, ...]:
        """The cgroups of pods, as far as they lie below some that are under a policy of the node's."""
        return self._host.layout.spared if self._host else ()

    def is_over(self, container: Container) -> bool:
        """Not where its pod is unknown and its cgroup is there: it was deleted while no agent ran, and still runs."""
        if container.of_node:
            return True
        uid = pod_uid(container.cgroup.parent.name)
        return uid in ("", *self._pods) or not container.cgroup.is_dir()

    def look(self) -> Look:
        """What the last look found."""
        return self._look

    def is_settled(self, name: tuple[str, str], sync: Sync) -> bool:
        """Whether a container (pod uid, container id) of the last look is under its policies, or cannot be."""
        identifier, selected = self._find(name)
        if selected is None:
            return True
        if selected.unknown:
            return False
        if identifier is None:
            return True
        return is_in_force(identifier, selected, sync) or sync.failure(identifier) is not None

    def failure(self, name: tuple[str, str], sync: Sync) -> str:
        """Why a container that policies select is not under them; empty where it is, or none selects it."""
        identifier, selected = self._find(name)
        if selected is None:
            return ""
        if selected.unknown:
            return selected.unknown
        if identifier is None:
            return "its cgroup was not found"
        if is_in_force(identifier, selected, sync):
            return ""
        return sync.failure(identifier) or "not tried yet"

    def unknown(self, name: tuple[str, str]) -> str:
        """What is not known yet that decides about policies of a container; empty where nothing is."""
        selected = self._find(name)[1]
        return selected.unknown if selected else ""

    def _make(self, selected: Selected, cgroup: Cgroup, process: int | None) -> tuple[Selected, Assignment]:
        """What was made at the last look, where that is still so: a thousand of them take longer than all else."""
        made = self._made.get(cgroup.id)
        if made and made[0] is selected and made[1].container.pid == process:
            return made
        return selected, _assignment(selected, cgroup, process)

    def _find(self, name: tuple[str, str]) -> tuple[int | None, Selected | None]:
        for identifier, selected in self._look.placed.items():
            if selected.name == name:
                return identifier, selected
        return None, next((each for each in self._selected if each.name == name), None)

    def _select(self, snapshot: Snapshot) -> tuple[Selected, ...]:
        lasting: dict[str, list[PodContainer]] = {}
        for each in self._look.placed.values():
            lasting.setdefault(each.pod.uid, []).append(each.container)
        pods = [with_containers(pod, lasting.get(pod.uid, [])) for pod in (*snapshot.pods, *snapshot.departed)]
        self._pods = {pod.cgroup_uid for pod in pods}
        before = {each.name: each for each in self._look.placed.values()}
        return self._selection.of(snapshot, [pod for pod in pods if pod.uid != self._own_uid], before)

    def _forget_departed(self, snapshot: Snapshot, present: set[str]) -> None:
        for pod in snapshot.departed:
            if pod.cgroup_uid not in present:
                self._state.forget(pod.uid)


def is_in_force(identifier: int, selected: Selected, sync: Sync) -> bool:
    """Whether a container (by cgroup id) is under exactly what selects it."""
    applied = sync.applied().get(identifier)
    return applied is not None and applied.policies == selected.rules


def _assignment(selected: Selected, cgroup: Cgroup, process: int | None) -> Assignment:
    pod, container = selected.pod, selected.container
    return Assignment(
        Container(
            name=selected.title,
            cgroup=cgroup.path,
            cgroup_id=cgroup.id,
            pid=process,
            labels=pod.labels,
            namespace=pod.namespace,
            pod=pod.name,
            container=container.name,
            image=container.image,
            workload=pod.workload,
        ),
        selected.rules,
        selected.unknown,
    )
