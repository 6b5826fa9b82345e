"""What the API server has told so far: policies, this node's pods, the labels of namespaces and of the node.

Written by the threads that watch, read by the one that enforces; every method takes the lock, but not while it reads a
policy, which may take seconds. `version` goes up with each change, and `changed` is set. Next step:
`agent.cluster.source` reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bulkhead.agent.cluster.accepted import InForce
from bulkhead.agent.cluster.kept_labels import KeptLabels
from bulkhead.agent.cluster.labels import KnownLabels
from bulkhead.agent.cluster.pods import Pod, PodContainer, parse_pod, with_containers
from bulkhead.agent.cluster.policies import Known, Policies
from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.log import get_log
from bulkhead.policy.select import Labels

LABELLED = ("Namespace", "Node")
KINDS = frozenset({*POLICY_KINDS, *LABELLED, "Pod"})

log = get_log()


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment. `departed` are pods of which only containers are left, if anything.

    `namespaces` has the labels of those that are known, `node` those of this node, or None. `seen` has a word a kind of
    policy for the versions that are known (`policy.seen`).
    """

    version: int
    policies: InForce
    pods: tuple[Pod, ...]
    departed: tuple[Pod, ...]
    namespaces: Mapping[str, Labels]
    node: Labels | None
    seen: Mapping[str, str] = field(default_factory=dict)


class ClusterState:
    """See above. The last good version of each policy is kept in the folder `kept`, as are labels.

    With these an agent begins that starts while there is no API server; what that tells then takes their place.
    """

    def __init__(self, kept: Path) -> None:
        self.changed = threading.Event()
        self._lock = threading.Lock()
        self._version = 0
        self._missing = set(KINDS)  # not told yet
        self._kept = KeptLabels(kept / "labels")
        self._policies = Policies(SealedFolder(kept / "policies"))
        self._pods: dict[str, Pod] = {}
        self._departed: dict[str, Pod] = {}
        self._announced: dict[str, tuple[Pod, PodContainer]] = {}  # by the container's id
        self._announced_in: dict[str, int] = {}  # the version that has it
        self._labels = {kind: KnownLabels() for kind in LABELLED}
        self._snapshot: Snapshot | None = None  # of now; None where it has to be taken anew
        self._is_recalled = self._recall()

    def take(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """What is needed of an object to be one of all: policies are many, so each is read now, and let go."""
        return self._policies.prepare(key_of(kind, value), value) if kind in POLICY_KINDS else value

    def replace(self, kind: str, values: Iterable[Mapping[str, Any]]) -> None:
        """These are all objects of a kind."""
        with self._changing():
            if kind == "Pod":
                pods = {pod.uid: pod for pod in map(parse_pod, values)}
                for uid in self._pods.keys() - pods.keys():
                    self._departed[uid] = self._pods[uid]
                self._pods = pods
            elif kind in LABELLED:
                self._labels[kind].replace(values)
            else:
                self._policies.replace(kind, values)
            self._missing.discard(kind)
            if not self._missing:
                self._policies.forget_unknown()
        self._keep_labels()

    def change(self, kind: str, event: str, value: Mapping[str, Any]) -> None:
        """One object was ADDED, MODIFIED or DELETED."""
        if kind in POLICY_KINDS and event != "DELETED":
            self._policies.prepare(key_of(kind, value), value)
        if kind in LABELLED:
            self._change_labels(self._labels[kind], event, value)
            return
        with self._changing():
            if kind == "Pod":
                self._change_pod(event, parse_pod(value))
            elif event == "DELETED":
                self._policies.remove(key_of(kind, value))
            else:
                self._policies.put(key_of(kind, value), value)

    def snapshot(self) -> Snapshot | None:
        """The state, or None as long as a kind has not been listed once, by any agent of this node."""
        with self._lock:
            if self._snapshot is None and (self._is_recalled or not self._missing):
                self._snapshot = Snapshot(
                    self._version,
                    self._policies.in_force(),
                    with_announced(self._pods.values(), self._announced.values()),
                    tuple(self._departed.values()),
                    self._labels["Namespace"].all(),
                    next(iter(self._labels["Node"].all().values()), None),  # no other node is watched
                    self._policies.seen(),
                )
            return self._snapshot

    def policies(self) -> dict[PolicyKey, Known]:
        """What became of every policy."""
        with self._lock:
            return self._policies.known()

    def forget(self, uid: str) -> None:
        """A departed pod has no container left."""
        with self._changing():
            self._departed.pop(uid, None)

    def announce(self, pod: Pod, container: PodContainer) -> int:
        """The runtime has made a container, of which the API server knows later; returns the version that has it."""
        with self._changing():
            self._announced[container.id] = (pod, container)
            self._announced_in[container.id] = self._version + 1
            return self._version + 1

    def announce_all(self, present: Iterable[tuple[Pod, PodContainer]]) -> int:
        """These are all containers of the runtime; returns the version that has them."""
        with self._changing():
            self._announced = {container.id: (pod, container) for pod, container in present}
            self._announced_in = dict.fromkeys(self._announced, self._version + 1)
            return self._version + 1

    def announced(self, version: int) -> dict[str, Pod]:
        """The containers that the runtime has and that were known in a version, by id, and whose they are."""
        with self._lock:
            known = (identifier for identifier, first in self._announced_in.items() if first <= version)
            return {identifier: self._announced[identifier][0] for identifier in known}

    def withdraw(self, container_id: str) -> None:
        """The runtime has removed a container."""
        with self._changing():
            self._announced.pop(container_id, None)
            self._announced_in.pop(container_id, None)

    def _change_pod(self, event: str, pod: Pod) -> None:
        if event == "DELETED":
            self._pods.pop(pod.uid, None)
            self._departed[pod.uid] = pod
        else:
            self._pods[pod.uid] = pod

    def _change_labels(self, known: KnownLabels, event: str, value: Mapping[str, Any]) -> None:
        with self._lock:
            if not known.change(event, value):
                return
            self._count_change()
        self.changed.set()
        self._keep_labels()

    def _keep_labels(self) -> None:
        with self._lock:
            if self._missing:
                return
            labels = {kind: known.all() for kind, known in self._labels.items()}
        self._kept.keep(labels)

    def _recall(self) -> bool:
        """Begin with what was kept; whether there was anything."""
        labels = self._kept.recall()
        if labels is None:
            return False
        for kind, known in self._labels.items():
            known.recall(labels.get(kind, {}))
        self._policies.recall()
        log.info(
            "cluster_recalled", policies=len(self._policies.known()), namespaces=len(self._labels["Namespace"].all())
        )
        return True

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            yield
            self._count_change()
        self.changed.set()

    def _count_change(self) -> None:
        self._version += 1
        self._snapshot = None


def with_announced(pods: Iterable[Pod], announced: Iterable[tuple[Pod, PodContainer]]) -> tuple[Pod, ...]:
    """The pods with the containers that the runtime told of; one that the API server has not told of is there, too.

    Pure. The two know a pod by the uid that its cgroup has; what the API server says of it is newer.
    """
    found = {pod.cgroup_uid: pod for pod in pods}
    for told, container in announced:
        found[told.cgroup_uid] = with_containers(found.get(told.cgroup_uid, told), [container])
    return tuple(found.values())
