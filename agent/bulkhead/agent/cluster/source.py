"""Which container of this node is under which policies: selectors asked, cgroups found.

Selection is worked out anew only when the state has changed; where a container is, and which process stands for it,
each time. A container stays under its policies as long as its cgroup is there, also when its pod's object has gone.
Next step: `agent.sync`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bulkhead.agent.cluster.pods import Pod, PodContainer
from bulkhead.agent.cluster.policies import Accepted
from bulkhead.agent.cluster.state import ClusterState, Snapshot
from bulkhead.agent.source import Assignment
from bulkhead.node.cgroups import Cgroup, first_process
from bulkhead.node.container import Container
from bulkhead.node.kubepods import ContainerCgroups
from bulkhead.policy.rules import PolicyRules
from bulkhead.policy.select import Candidate, selects


@dataclass(frozen=True)
class Selected:
    """A container that policies select, wherever it is. `rules` are those of `policies`."""

    pod: Pod
    container: PodContainer
    policies: tuple[Accepted, ...]
    rules: tuple[PolicyRules, ...]

    @property
    def name(self) -> tuple[str, str]:
        """By which `ContainerCgroups` knows it."""
        return self.pod.cgroup_uid, self.container.id


class ClusterSource:
    """`agent.source.Source` over what the API server tells.

    The agent's own pod, `own_uid`, is under no policy: one that denies the agent what it needs could not be taken back.
    """

    def __init__(self, state: ClusterState, cgroups: ContainerCgroups, own_uid: str = "") -> None:
        self._state = state
        self._own_uid = own_uid
        self._cgroups = cgroups
        self._version = -1
        self._selected: tuple[Selected, ...] = ()
        self._placed: dict[int, Selected] = {}

    def read(self) -> tuple[Assignment, ...] | None:
        """None until policies, pods and namespaces have all been listed once."""
        snapshot = self._state.snapshot()
        if snapshot is None:
            return None
        if snapshot.version != self._version:
            self._selected = tuple(each for each in select(snapshot) if each.pod.uid != self._own_uid)
            self._version = snapshot.version
        found = self._cgroups.find(selected.name for selected in self._selected)
        self._forget_departed(snapshot, {uid for uid, _ in found})
        placed = {
            found[selected.name].id: (selected, found[selected.name])
            for selected in self._selected
            if selected.name in found
        }
        self._placed = {identifier: selected for identifier, (selected, _) in placed.items()}
        assignments = (_assignment(selected, cgroup) for selected, cgroup in placed.values())
        return tuple(assignment for assignment in assignments if assignment)

    def placed(self) -> dict[int, Selected]:
        """The selected containers that were found at the last look, by cgroup id."""
        return dict(self._placed)

    def _forget_departed(self, snapshot: Snapshot, present: set[str]) -> None:
        for pod in snapshot.departed:
            if pod.cgroup_uid not in present:
                self._state.forget(pod.uid)


def select(snapshot: Snapshot) -> Iterator[Selected]:
    """Every running container that a policy selects. Pure."""
    for pod in (*snapshot.pods, *snapshot.departed):
        namespace_labels = snapshot.namespaces.get(pod.namespace, {})
        for container in pod.containers:
            candidate = Candidate(pod.namespace, pod.labels, namespace_labels, container.name)
            policies = tuple(each for each in snapshot.policies if selects(each.policy, candidate))
            if policies:
                yield Selected(pod, container, policies, tuple(each.rules for each in policies))


def _assignment(selected: Selected, cgroup: Cgroup) -> Assignment:
    pod, container = selected.pod, selected.container
    return Assignment(
        Container(
            name=f"{pod.namespace}/{pod.name}/{container.name}",
            cgroup=cgroup.path,
            cgroup_id=cgroup.id,
            pid=first_process(cgroup.path),
            labels=pod.labels,
            namespace=pod.namespace,
            pod=pod.name,
            container=container.name,
            image=container.image,
            workload=pod.workload,
        ),
        selected.rules,
    )
