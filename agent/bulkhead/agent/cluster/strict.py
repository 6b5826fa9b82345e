"""Has the kernel refuse what nobody has told of, as long as a namespace asks for `bulkhead.dev/start: Strict`.

While an agent runs and the runtime asks it, a container is told to the kernel when it is under its policies or none
selects it, whatever its namespace: the kernel knows no namespaces. All that there are come first, the request after
them. The request outlives the agent; its sign says that it is there, and that the runtime asks it. Looks in the thread
that enforces. Next step: `enforcement.starts`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.starts import Order, Starts
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log
from bulkhead.node import kubepods
from bulkhead.node.cgroups import cgroup_id
from bulkhead.node.kubepods import ContainerCgroups
from bulkhead.policy.select import Labels

LABEL, STRICT = "bulkhead.dev/start", "Strict"
UNASKED = "the container runtime does not ask before it starts a container (NRI)"
EMPTY = "no container is there yet by which the kubelet's cgroup is found"

log = get_log()


@dataclass(frozen=True)
class StrictSettings:
    """`root` is the cgroup hierarchy, `state` the agent's folder, `lapse_s` how long its signs hold; 0: for ever.

    `ignores`: elsewhere than in namespaces that ask, containers start whose policies are not in force.
    """

    root: Path
    state: Path
    lapse_s: float = 0.0
    ignores: bool = False


@dataclass(frozen=True)
class Told:
    """What the runtime said when it took the agent in: its process, and the sandboxes, by (pod uid, id).

    `version` is that of the state that has all of its containers.
    """

    version: int
    process: int
    sandboxes: frozenset[tuple[str, str]]


class StrictStarts:
    """One node's. `failure` says why what is asked for does not hold; `holds`, that it does."""

    def __init__(self, settings: StrictSettings, state: ClusterState, source: ClusterSource) -> None:
        self._settings, self._state, self._source = settings, state, source
        self._cgroups = ContainerCgroups(settings.root)
        self._told: Told | None = None
        self._asking: frozenset[str] | None = None  # None: not known yet
        self._allowed: set[str] = set()  # ids of containers
        self._below: Path | None = None
        self._sandboxes = False
        self._lock = threading.Lock()  # of `_told`, which another thread sets
        self.failure = ""
        self.holds = False

    def taken_in(self, told: Told) -> None:
        """The runtime asks from now on."""
        sandboxes = _makes_sandboxes(self._settings.root, told.sandboxes)
        with self._lock:
            self._told, self._sandboxes = told, sandboxes

    def cast_out(self) -> None:
        """The runtime asks no more."""
        with self._lock:
            self._told = None

    def state(self) -> tuple[bool, str] | None:
        """Whether what is asked for holds, and if not, why; None where nobody asks."""
        return (not self.failure, self.failure) if self._asking else None

    def is_strict(self, namespace: str) -> bool:
        """Whether a namespace asks for it."""
        return bool(self._asking and namespace in self._asking)

    def is_done(self, container_id: str) -> bool:
        """Whether a container that may start can."""
        return self._asking is not None and (not self._asking or container_id in self._allowed)

    def begin(self, starts: Starts) -> None:
        """Say what an agent that was away has to hear."""
        lapsed = starts.take_lapsed()
        if lapsed:
            log.error("starts_lapsed", containers=lapsed, consequence="they ran without policies until now")

    def step(self, starts: Starts, sync: Sync) -> None:
        """Look, tell the kernel, give a sign. What fails is logged once, and tried again at the next look."""
        snapshot = self._state.snapshot()
        if snapshot is None:
            return
        asking = _asking(snapshot.namespaces)
        failure = self._look(starts, sync, asking)
        if failure != self.failure:
            self.failure = failure
            (log.error if failure else log.info)("starts_changed", strict=bool(asking), error=failure)
        self._asking = asking

    def _look(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> str:
        try:
            if asking:
                return self._ask(starts, sync, asking)
            starts.ask_no_more()
            self._allowed.clear()
            self.holds = False
            return ""
        except BulkheadError as error:
            return str(error)

    def _ask(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> str:
        with self._lock:
            told, sandboxes = self._told, self._sandboxes
        if told is None or self._source.seen < told.version:
            return "" if self.holds and told else UNASKED
        self._allow(starts, sync, asking)
        if self._below is None:
            return EMPTY
        root = Path(f"/proc/{told.process}/root")
        settings = self._settings
        starts.ask(Order(cgroup_id(self._below), root, settings.state, settings.lapse_s, sandboxes))
        self.holds = True
        return ""

    def _allow(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> None:
        announced = self._state.announced()
        self._allowed &= announced.keys()
        names = {
            (pod.cgroup_uid, identifier)
            for identifier, pod in announced.items()
            if identifier not in self._allowed
            and not self._is_held(pod.namespace, (pod.cgroup_uid, identifier), sync, asking)
        }
        found = self._cgroups.find(names)
        starts.allow(cgroup.id for cgroup in found.values())
        self._allowed |= {identifier for _, identifier in names}  # what has no cgroup has ended
        self._below = self._below or next((kubepods.whole(each.path) for each in found.values()), None)

    def _is_held(self, namespace: str, name: tuple[str, str], sync: Sync, asking: frozenset[str]) -> bool:
        """Whether a container must not start yet."""
        return bool(self._source.failure(name, sync)) and (not self._settings.ignores or namespace in asking)


def _asking(namespaces: Mapping[str, Labels]) -> frozenset[str]:
    return frozenset(name for name, labels in namespaces.items() if labels.get(LABEL) == STRICT)


def _makes_sandboxes(root: Path, sandboxes: frozenset[tuple[str, str]]) -> bool:
    """Whether the runtime gives pods a sandbox's cgroup: most of those that are there have one."""
    pods = kubepods.pods(root)
    present = [(kubepods.containers(pods[uid]), identifier) for uid, identifier in sandboxes if uid in pods]
    having = sum(identifier in containers for containers, identifier in present)
    return having > sum(bool(containers) for containers, _ in present) - having
