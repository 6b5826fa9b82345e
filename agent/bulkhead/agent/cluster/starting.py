"""Holds a container's start until it is under its policies: there is no first moment without them.

The container runtime asks when a container is made, with its cgroup and mounts, and has executed nothing of its image.
The container is announced to the state; the thread that enforces looks at once, as with any other news; when it has,
the runtime is told to go on, or to refuse the start where what was selected could not be put into force. A start that
is refused is tried again by the kubelet. As long as the API server has not told what there is, nothing is known to be
wanted: the start is let go, and the log says so. Where it has told of policies and only the labels of the container's
namespace or of the node are missing, the start waits for them, and is refused where they do not come. Next step:
`node.nri.plugin`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from bulkhead.agent.cluster.pods import Pod, PodContainer
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.strict import StrictStarts, Told
from bulkhead.agent.sync import Sync
from bulkhead.errors import Damaged, Unreachable
from bulkhead.log import get_log
from bulkhead.node.nri.plugin import Plugin, StartRefused
from bulkhead.nri.v1alpha1 import nri_pb2

RUNTIME_WAITS_S = 2.0  # where the runtime does not say: containerd's default
SHARE = 0.8  # of that is ours: a plugin that is late is disconnected, and the container starts
RECONNECT_S = 2.0
HAVE_STARTED = (2, 3)  # PAUSED and RUNNING of the runtime's enum ContainerState
OF_KUBERNETES = "io.kubernetes."  # labels that the kubelet adds to those of the pod

log = get_log()


class FailurePolicy(Enum):
    """What becomes of a container whose policies cannot be put into force, in the words of admission webhooks."""

    FAIL = "Fail"
    IGNORE = "Ignore"


class Starting:
    """Answers the runtime (`node.nri.plugin.Answers`) and runs the connection to it."""

    def __init__(
        self,
        socket: Path,
        failure_policy: FailurePolicy,
        state: ClusterState,
        source: ClusterSource,
        strict: StrictStarts,
    ) -> None:
        self._socket = socket
        self._failure_policy = failure_policy
        self._state = state
        self._source = source
        self._strict = strict
        self._runtime = 0  # its process
        self._sync: Sync
        self._limit_s = RUNTIME_WAITS_S * SHARE
        self._loop: asyncio.AbstractEventLoop
        self._looked: asyncio.Event
        self._stopping = threading.Event()
        self._serving: asyncio.Task[None] | None = None

    def run(self, sync: Sync) -> None:
        """Until `stop`. A runtime that is not there, or goes, is looked for again; each change is logged once."""
        self._sync = sync
        asyncio.run(self._run())

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()
        if self._serving:
            self._loop.call_soon_threadsafe(self._serving.cancel)

    async def _run(self) -> None:
        self._loop, self._looked = asyncio.get_running_loop(), asyncio.Event()
        self._sync.on_step(self._wake)
        said = ""
        while not self._stopping.is_set():
            self._serving = asyncio.create_task(Plugin(self._socket, self).serve())
            try:
                await self._serving
                log.warning("runtime_gone", socket=str(self._socket), consequence="containers start unasked")
                said = ""
            except (Unreachable, Damaged) as error:
                if str(error) != said:
                    log.warning("runtime_not_reached", error=str(error), consequence="containers start unasked")
                said = str(error)
            except asyncio.CancelledError:
                return
            self._strict.cast_out()
            await asyncio.sleep(RECONNECT_S)

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._looked.set)

    def configured(self, runtime: str, timeout_s: float, process: int) -> None:
        """The runtime has taken us in."""
        self._runtime = process
        self._limit_s = (timeout_s or RUNTIME_WAITS_S) * SHARE
        log.info("runtime_reached", runtime=runtime, answer_within_s=self._limit_s)

    def present(self, pods: Sequence[nri_pb2.Pod], containers: Sequence[nri_pb2.Container]) -> None:
        """What runs already is announced, too: the kubelet's report of it may be late or impossible."""
        by_id = {pod.id: pod for pod in pods}
        known = [each for each in containers if each.pod_sandbox_id in by_id]
        version = self._state.announce_all([(_pod(by_id[each.pod_sandbox_id]), _container(each)) for each in known])
        running = frozenset(each.id for each in known if each.state in HAVE_STARTED)
        sandboxes = frozenset((pod.uid, pod.id) for pod in pods)
        self._strict.taken_in(Told(version, self._runtime, sandboxes, running))

    async def start(self, pod: nri_pb2.Pod, container: nri_pb2.Container) -> None:
        """Return when the container is under its policies, or has none. Raises `StartRefused`."""
        version = self._state.announce(_pod(pod), _container(container))
        name = f"{pod.namespace}/{pod.name}/{container.name}"
        try:
            async with asyncio.timeout(self._limit_s):
                while not self._is_settled(version, (pod.uid, container.id)):
                    self._looked.clear()
                    await self._looked.wait()
        except TimeoutError:
            self._late(name, (pod.uid, container.id), pod.namespace)
        else:
            reason = self._source.failure((pod.uid, container.id), self._sync)
            if reason:
                self._refuse(name, reason, pod.namespace)
        self._strict.let_go(container.id)

    def removed(self, pod: nri_pb2.Pod, container: nri_pb2.Container) -> None:
        """Its cgroup goes, and what is bound to it."""
        self._state.withdraw(container.id)
        self._strict.removed(container.id)

    def _is_settled(self, version: int, container: tuple[str, str]) -> bool:
        if self._source.seen < version or not self._source.is_settled(container, self._sync):
            return False
        return self._strict.is_done(container[1]) or bool(self._source.failure(container, self._sync))

    def _late(self, name: str, container: tuple[str, str], namespace: str) -> None:
        if self._source.seen < 0:
            log.warning("container_started_unknown", container=name, error="the API server has told nothing yet")
            return
        reason = self._source.unknown(container) or f"not in force within {self._limit_s:g} s"
        self._refuse(name, reason, namespace)

    def _refuse(self, name: str, reason: str, namespace: str) -> None:
        if self._failure_policy is FailurePolicy.IGNORE and not self._strict.is_strict(namespace):
            log.error("container_started_unenforced", container=name, error=reason)
            return
        log.error("container_refused", container=name, error=reason)
        raise StartRefused(f"bulkhead: {name} may not start before its policies are in force: {reason}")


def _pod(told: nri_pb2.Pod) -> Pod:
    labels = {key: value for key, value in told.labels.items() if not key.startswith(OF_KUBERNETES)}
    return Pod(uid=told.uid, cgroup_uid=told.uid, namespace=told.namespace, name=told.name, labels=labels)


def _container(told: nri_pb2.Container) -> PodContainer:
    return PodContainer(told.name, told.id)
