"""The API server as the agent's input: `agent.source.Input`, put together from the modules beside this one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkhead.agent.cluster.certificate import AgentCertificate
from bulkhead.agent.cluster.host import HostProcesses
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.starting import FailurePolicy, Starting
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.statement import NodeFacts
from bulkhead.agent.cluster.strict import StrictSettings, StrictStarts
from bulkhead.agent.cluster.telling import Teller
from bulkhead.agent.cluster.watching import Watching
from bulkhead.agent.metrics import policy_samples
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.starts import Starts
from bulkhead.errors import BulkheadError
from bulkhead.kube.client import Api
from bulkhead.monitoring import catalog
from bulkhead.monitoring.exposition import Sample
from bulkhead.node import cgroups
from bulkhead.node.kubepods import ContainerCgroups


@dataclass(frozen=True)
class ClusterSettings:
    """What an agent in a cluster is told.

    `state` is the agent's folder, `own_uid` that of its own pod, if it is in one. `nri` is the socket of the container
    runtime, which is not asked for where it is None. `start_lapse_s`: how long strict starts outlast its signs.
    """

    state: Path
    own_uid: str = ""
    nri: Path | None = None
    start_failure_policy: FailurePolicy = FailurePolicy.FAIL
    start_lapse_s: float = 0.0


class ClusterInput:
    """What one node's agent hears from the API server and from the container runtime, and tells them."""

    def __init__(
        self, api: Api, facts: NodeFacts, settings: ClusterSettings, certificate: AgentCertificate | None = None
    ) -> None:
        self._certificate = certificate
        self._state = ClusterState(settings.state / "cluster")
        self._watching = Watching(api, self._state, facts.name)
        root, policy = cgroups.mount_point(), settings.start_failure_policy
        self.source = ClusterSource(
            self._state, ContainerCgroups(root), settings.own_uid, HostProcesses(root, _own(root, settings.own_uid))
        )
        self._strict = StrictStarts(
            StrictSettings(root, settings.state, settings.start_lapse_s, policy is FailurePolicy.IGNORE),
            self._state,
            self.source,
        )
        self._teller = Teller(api, facts, self._state, self._strict.asked)
        self._starting = (
            Starting(settings.nri, policy, self._state, self.source, self._strict) if settings.nri else None
        )

    @property
    def changed(self) -> threading.Event:
        """Set with every object that comes, changes or goes."""
        return self._state.changed

    def tasks(self, sync: Sync, starts: Starts) -> dict[str, Callable[[], None]]:
        """The watches, what is told back, and the answers to the runtime, which come after the looks for `starts`."""
        self._strict.begin(starts)
        sync.on_step(lambda: self._strict.step(starts, sync))
        tasks = {**self._watching.tasks(), "telling": lambda: self._teller.run(self.source, sync)}
        if starting := self._starting:
            tasks["starting"] = lambda: starting.run(sync)
        if self._certificate:
            tasks["certificate"] = self._certificate.run
        return tasks

    def samples(self) -> Iterator[Sample]:
        """The policies, and how the API server is heard."""
        known = self._state.policies().values()
        yield from policy_samples(
            sum(each.accepted is not None for each in known), sum(bool(each.problems) for each in known)
        )
        yield Sample(catalog.STRICT_STARTS, self._strict.standing.holds)
        yield from self._watching.samples()
        if self._certificate:
            yield from self._certificate.samples()

    def stop(self) -> None:
        """End them soon."""
        self._watching.stop()
        self._teller.stop()
        if self._starting:
            self._starting.stop()
        if self._certificate:
            self._certificate.stop()

    def tell_unable(self, error: BulkheadError) -> None:
        """The node cannot enforce: its NodeState says so."""
        self._teller.tell_unable(error)


def _own(root: Path, own_uid: str) -> frozenset[Path]:
    """The agent's own cgroup where it is in no pod: under a policy, it could not take that back."""
    own = Path("/") if own_uid else cgroups.of_process(os.getpid())
    return frozenset({root / own.relative_to("/")}) if own != Path("/") else frozenset()
