"""Writes what is true of this node to its NodeState, and nothing else: of policies the controller speaks.

Only what has changed is written. What cannot be written now is tried again at the next look: it costs nothing but
news, enforcement does not wait for it. That the agent has heard of policies that select nothing here is told within
`SEEN_S`, not by all nodes in the same second. Next step: `kube.objects`.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.statement import Enforcement, NodeFacts, Since, node_state
from bulkhead.agent.cluster.strict import Standing
from bulkhead.agent.sync import Sync
from bulkhead.errors import BulkheadError, Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.conditions import Condition, condition, now
from bulkhead.kube.objects import apply, apply_status, object_path
from bulkhead.log import get_log
from bulkhead.policy.model import API_VERSION

LOOK_S = 1.0
PAUSE_S = 10.0  # after a failure
SEEN_S = 5.0
REFUSED = "a container that no agent has told of does not start"
READY = ("Enforcing", "what the API server tells is enforced")
STARTING = ("Starting", "policies and pods have not been listed yet; what an earlier agent enforced goes on")

log = get_log()


class Teller:
    """One agent's statements.

    `strict` says how strict starts stand, or None where nobody asks; `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        api: Api,
        facts: NodeFacts,
        state: ClusterState,
        strict: Callable[[], Standing | None] = lambda: None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._facts = facts
        self._state = state
        self._strict = strict
        self._chance = chance
        self._since = Since()
        self._told: dict[str, Any] = {}
        self._told_of: tuple[Enforcement, list[Condition]] | None = None
        self._seen_due_s: float | None = None
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
        look = source.look()
        found = Enforcement(
            self._state.policies(), {**look.placed, **look.of_node}, sync.applied(), sync.failures(), look.seen
        )
        is_ready = sync.synced.is_set()
        self._write_node(found, is_ready, *(READY if is_ready else STARTING))

    def tell_unable(self, error: BulkheadError) -> None:
        """This node cannot enforce; the agent is about to end. One attempt."""
        try:
            self._write_node(Enforcement({}, {}, {}, ()), False, type(error).__name__, str(error))
        except Unreachable as unreachable:
            log.warning("status_not_written", error=str(unreachable))

    def _write_node(self, found: Enforcement, ready: bool, reason: str, message: str) -> None:
        time_now = now()
        since = self._since.of("Ready", ready, time_now)
        conditions = [condition("Ready", ready, reason, message, since), *self._strict_starts(time_now)]
        if (found, conditions) == self._told_of:  # compared by identity, mostly: to state it all takes longer
            return
        body = node_state(self._facts, found, conditions, self._since, time_now)
        if body != self._told:
            if self._can_wait(body):
                return
            self._write(body)
        self._told_of = found, conditions

    def _write(self, body: dict[str, Any]) -> None:
        path = object_path("NodeState", "", self._facts.name)
        if not self._told:
            apply(self._api, path, {"apiVersion": API_VERSION, "kind": "NodeState", "metadata": body["metadata"]})
        apply_status(self._api, path, body)
        self._told, self._seen_due_s = body, None

    def _strict_starts(self, time_now: str) -> Iterator[Condition]:
        """The condition about them, where a namespace asks."""
        found = self._strict()
        if found is None:
            return
        broken = self._since.of("StrictStarts", found.holds, time_now)
        lasting = f", until no agent has given a sign for {found.lapse_s:g} s" if found.lapse_s else ""
        told = [REFUSED + lasting] if found.holds else []
        reason = ("NoSign" if found.failure else "Asked") if found.holds else "NotAsked"
        message = "; none is given: ".join([*told, *filter(None, [found.failure])])
        yield condition("StrictStarts", found.holds, reason, message, found.since or broken)

    def _can_wait(self, body: dict[str, Any]) -> bool:
        """Whether nothing is new but policies that select nothing here, and their time has not come."""
        if not self._told or {**body["status"], "seen": None} != {**self._told["status"], "seen": None}:
            return False
        time_now_s = time.monotonic()
        if self._seen_due_s is None:
            self._seen_due_s = time_now_s + SEEN_S * self._chance()
        return time_now_s < self._seen_due_s
