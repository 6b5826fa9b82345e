"""Has the kernel refuse what nobody has told of, as long as a namespace asks for `bulkhead.dev/start: Strict`.

While an agent runs and the runtime asks it, a container is told to the kernel when it is under its policies or none
selects it, whatever its namespace: the kernel knows no namespaces. All that there are come first, the request after
them: what runs goes on, also where it could not be put under its policies. The request outlives the agent; its sign
says that it is there, and that the runtime asks it. Looks in the thread that enforces. Next step: `enforcement.starts`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.starts import NANOSECONDS, Order, Starts
from bulkhead.errors import BulkheadError
from bulkhead.kube.conditions import ago
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
    """What the runtime said when it took the agent in: its process, the sandboxes, by (pod uid, id), and what runs.

    `version` is that of the state that has all of its containers.
    """

    version: int
    process: int
    sandboxes: frozenset[tuple[str, str]]
    running: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Standing:
    """What is so in the kernel: since when unknown containers are refused, if they are, and why that may not last.

    Without a sign it lasts `lapse_s`, or for ever where that is 0; with a `failure` none is given.
    """

    since: str = ""
    failure: str = ""
    lapse_s: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether they are refused."""
        return bool(self.since)


class StrictStarts:
    """One node's. `standing` is of the last look."""

    def __init__(self, settings: StrictSettings, state: ClusterState, source: ClusterSource) -> None:
        self._settings, self._state, self._source = settings, state, source
        self._cgroups = ContainerCgroups(settings.root)
        self._told: Told | None = None
        self._asking: frozenset[str] | None = None  # None: not known yet
        self._allowed: set[str] = set()  # ids of containers
        self._going: set[str] = set()  # those that started already, or were let go
        self._below: Path | None = None
        self._sandboxes = False
        self._since = (0, "")  # the same moment by the kernel's clock, in nanoseconds, and as it is told
        self._lock = threading.Lock()  # of `_told`, `_sandboxes` and `_going`, which another thread sets
        self.standing = Standing()

    def taken_in(self, told: Told) -> None:
        """The runtime asks from now on."""
        sandboxes = _makes_sandboxes(self._settings.root, told.sandboxes)
        with self._lock:
            self._told, self._sandboxes, self._going = told, sandboxes, set(told.running)

    def let_go(self, container_id: str) -> None:
        """A container starts now, whatever becomes of its policies later."""
        with self._lock:
            self._going.add(container_id)

    def removed(self, container_id: str) -> None:
        """There is no such container any more."""
        with self._lock:
            self._going.discard(container_id)

    def cast_out(self) -> None:
        """The runtime asks no more."""
        with self._lock:
            self._told = None

    def asked(self) -> Standing | None:
        """What is so; None where nobody asks."""
        return self.standing if self._asking else None

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
        standing = Standing(self._told_as(starts.since_ns()), failure, self._settings.lapse_s)
        if standing != self.standing:
            write = log.error if failure else log.info
            write("starts_changed", strict=standing.holds, since=standing.since, error=failure)
        self.standing, self._asking = standing, asking

    def _told_as(self, since_ns: int) -> str:
        if since_ns != self._since[0]:
            passed_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_ns
            self._since = (since_ns, ago(passed_ns / NANOSECONDS) if since_ns else "")
        return self._since[1]

    def _look(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> str:
        try:
            if asking:
                return self._ask(starts, sync, asking)
            starts.ask_no_more()
            self._allowed.clear()
            return ""
        except BulkheadError as error:
            return str(error)

    def _ask(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> str:
        with self._lock:
            told, sandboxes = self._told, self._sandboxes
        if told is None:
            return UNASKED
        if self._source.seen < told.version:
            return self.standing.failure
        self._allow(starts, sync, asking)
        if self._below is None:
            return EMPTY
        settings = self._settings
        starts.ask(Order(cgroup_id(self._below), told.process, settings.state, settings.lapse_s, sandboxes))
        return ""

    def _allow(self, starts: Starts, sync: Sync, asking: frozenset[str]) -> None:
        announced = self._state.announced(self._source.seen)
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
        if name[1] in self._going:
            return False
        return bool(self._source.failure(name, sync)) and (not self._settings.ignores or namespace in asking)


def _asking(namespaces: Mapping[str, Labels]) -> frozenset[str]:
    return frozenset(name for name, labels in namespaces.items() if labels.get(LABEL) == STRICT)


def _makes_sandboxes(root: Path, sandboxes: frozenset[tuple[str, str]]) -> bool:
    """Whether the runtime gives pods a sandbox's cgroup: most of those that are there have one."""
    pods = kubepods.pods(root)
    present = [(kubepods.containers(pods[uid]), identifier) for uid, identifier in sandboxes if uid in pods]
    having = sum(identifier in containers for containers, identifier in present)
    return having > sum(bool(containers) for containers, _ in present) - having
