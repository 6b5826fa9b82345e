"""Writes what is true of this node to its NodeState, and of policies to their status; refusals also as events.

Only what has changed is written. What cannot be written now is tried again at the next look: it costs nothing but
news, enforcement does not wait for it. Next step: `kube.objects`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bulkhead.agent.cluster.policies import Known, PolicyKey
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.statement import Enforcement, NodeFacts, Since, acceptance, condition, node_state, refusal
from bulkhead.agent.sync import Sync
from bulkhead.errors import BulkheadError, Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.events import post_event
from bulkhead.kube.objects import apply, apply_status, object_path
from bulkhead.log import get_log
from bulkhead.policy.model import API_VERSION

LOOK_S = 1.0
PAUSE_S = 10.0  # after a failure
READY = ("Enforcing", "what the API server tells is enforced")
STARTING = ("Starting", "policies and pods have not been listed yet; what an earlier agent enforced goes on")

log = get_log()


class Teller:
    """One agent's statements."""

    def __init__(self, api: Api, facts: NodeFacts, state: ClusterState) -> None:
        self._api = api
        self._facts = facts
        self._state = state
        self._since = Since()
        self._told: dict[str, Any] = {}
        self._settled: Mapping[PolicyKey, Known] = {}
        self._stopping = threading.Event()

    def run(self, source: ClusterSource, sync: Sync) -> None:
        """Until `stop`. The same failure is logged once."""
        pause_s, said = 0.0, ""
        while not self._stopping.wait(pause_s):
            try:
                self.tell(source, sync)
                pause_s, said = LOOK_S, ""
            except BulkheadError as error:
                if str(error) != said:
                    log.warning("status_not_written", error=str(error), retry_s=PAUSE_S)
                pause_s, said = PAUSE_S, str(error)

    def stop(self) -> None:
        """End `run` soon."""
        self._stopping.set()

    def tell(self, source: ClusterSource, sync: Sync) -> None:
        """Write what has changed. Raises `Unreachable`."""
        found = Enforcement(self._state.policies(), source.placed(), sync.applied(), sync.failures())
        is_ready = sync.synced.is_set()
        self._write_node(found, is_ready, *(READY if is_ready else STARTING))
        for key, known in found.policies.items():
            if self._settled.get(key) is not known:  # an object that changes in any way is another one
                self._tell_policy(key, known)
        self._settled = found.policies

    def tell_unable(self, error: BulkheadError) -> None:
        """This node cannot enforce; the agent is about to end. One attempt."""
        try:
            self._write_node(Enforcement({}, {}, {}, ()), False, type(error).__name__, str(error))
        except Unreachable as unreachable:
            log.warning("status_not_written", error=str(unreachable))

    def _write_node(self, found: Enforcement, ready: bool, reason: str, message: str) -> None:
        now = _now()
        since = self._since.of("Ready", ready, now)
        body = node_state(self._facts, found, condition("Ready", ready, reason, message, since), self._since, now)
        if body == self._told:
            return
        path = object_path("NodeState", "", self._facts.name)
        if not self._told:
            apply(self._api, path, {"apiVersion": API_VERSION, "kind": "NodeState", "metadata": body["metadata"]})
        apply_status(self._api, path, body)
        self._told = body

    def _tell_policy(self, key: PolicyKey, known: Known) -> None:
        body = acceptance(key, known, _now())
        if body is None:
            return
        try:
            apply_status(self._api, object_path(key.kind, key.namespace, key.name), body)
        except NotFound:  # it was deleted meanwhile: the watch will say so
            return
        if known.problems:
            involved = {"apiVersion": API_VERSION, "kind": key.kind, **known.value["metadata"]}
            post_event(self._api, involved, "Refused", refusal(known), node=self._facts.name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
