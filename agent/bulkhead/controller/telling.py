"""Writes statuses of policies that have changed, and tells refusals as events, too.

What cannot be written is tried again; a policy's status is written once a second at most, by who leads. Next step:
`kube.objects`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from bulkhead.controller.state import ControllerState
from bulkhead.controller.summary import Fleet, Judged, refusal, status
from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.conditions import find, now
from bulkhead.kube.errors import NotFound
from bulkhead.kube.events import post_event
from bulkhead.kube.objects import apply_status, object_path
from bulkhead.log import get_log
from bulkhead.monitoring.checks import Heartbeat
from bulkhead.policy.model import API_VERSION

FIELD_MANAGER = "bulkhead-controller"
LOOK_S = 1.0
PAUSE_S = 5.0  # after a failure
OLDEST_S = 30.0  # changes on nodes come with their own news: this is for what nobody tells, such as a clock

log = get_log()


class Teller:
    """One controller's. `writes` and `failures` count; `rounds` beats with each."""

    def __init__(self, api: Api, state: ControllerState, rounds: Heartbeat) -> None:
        self._api, self._state, self._rounds = api, state, rounds
        self.writes = self.failures = 0

    def run(self, stopping: threading.Event) -> None:
        """Until `stopping` is set."""
        while not stopping.is_set():
            self._state.changed.wait(OLDEST_S)
            self._state.changed.clear()
            failed = self.tell()
            self._rounds.beat()
            stopping.wait(PAUSE_S if failed else LOOK_S)

    def tell(self) -> int:
        """Write what has changed; how much could not be written."""
        failed = 0
        for policy, fleet in self._state.take_due():
            try:
                self._tell(policy, fleet)
            except Unreachable as error:
                log.warning("status_not_written", policy=str(policy.key), error=str(error))
                self._state.again(policy.key)
                failed += 1
        self.failures += failed
        if failed:
            self._state.changed.set()
        return failed

    def _tell(self, policy: Judged, fleet: Fleet) -> None:
        wanted = status(policy, fleet, now())
        if wanted == _ours(policy.told):
            return
        key = policy.key
        metadata = {"name": key.name, **({"namespace": key.namespace} if key.namespace else {})}
        body = {"apiVersion": API_VERSION, "kind": key.kind, "metadata": metadata, "status": wanted}
        try:
            apply_status(self._api, object_path(key.kind, key.namespace, key.name), body, FIELD_MANAGER)
        except NotFound:  # it was deleted meanwhile: the watch will say so
            return
        self.writes += 1
        if policy.problems and _reason(policy.told) != ("Refused", policy.generation):
            of_this = {"uid": policy.uid, "generation": policy.generation}
            involved = {"apiVersion": API_VERSION, "kind": key.kind, **metadata, **of_this}
            post_event(self._api, involved, "Refused", refusal(policy, fleet.shares))


def _ours(told: Mapping[str, Any]) -> dict[str, Any]:
    """What an object's status says, in the order in which we say it."""
    conditions = told.get("conditions") or ()
    return {
        "observedGeneration": told.get("observedGeneration"),
        "nodes": told.get("nodes"),
        "conditions": [dict(find(conditions, kind)) for kind in ("Accepted", "Enforced", "Degraded")],
    }


def _reason(told: Mapping[str, Any]) -> tuple[object, object]:
    accepted = find(told.get("conditions") or (), "Accepted")
    return accepted.get("reason"), accepted.get("observedGeneration")
