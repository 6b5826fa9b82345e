"""One of several programs leads: it holds a Lease, renews it, and ends where it cannot.

As client-go does it: who finds the Lease unrenewed for its duration, by his own clock since he last saw it change,
takes it, and the API server lets only one change of a version through. Clocks of two machines are never compared. A
leader that could not renew for `RENEW_WITHIN_S` stops before anybody else can begin. Next step: `controller.main`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.errors import Conflict, NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.log import get_log

DURATION_S = 30  # who leads from then on waited for so long: what is said of policies is that old at most
RENEW_WITHIN_S = 20.0
LOOK_S = 5.0

log = get_log()


@dataclass(frozen=True)
class LeaseName:
    """Which Lease, and as whom it is held."""

    namespace: str
    name: str
    holder: str


class Lease:
    """One program's part. `leading` is set while it may act."""

    def __init__(self, api: Api, lease: LeaseName, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._lease, self._clock = api, lease, clock
        self._path = object_path("Lease", lease.namespace, lease.name)
        self._seen: tuple[str, float] = ("", 0.0)  # version, and when it was first seen
        self._renewed_s = 0.0
        self._object: dict[str, Any] = {}
        self.leading = threading.Event()

    def campaign(self, stopping: threading.Event) -> bool:
        """Wait until this program leads: True; or is told to stop. An API server that is away is waited for."""
        while not stopping.is_set():
            if self._attempt():
                self.leading.set()
                log.info("leadership_begun", lease=self._lease.name, holder=self._lease.holder)
                return True
            stopping.wait(LOOK_S)
        return False

    def keep(self, stopping: threading.Event) -> None:
        """Renew until told to stop, then give it up. Raises `Unreachable` where it could not be held."""
        while not stopping.wait(LOOK_S):
            if not self._attempt() and not (self._is_ours() and self._clock() - self._renewed_s < RENEW_WITHIN_S):
                self.leading.clear()
                raise Unreachable(f"the lease {self._lease.name} could not be held; another program leads or will")
        self.leading.clear()
        self._write(holder="", duration_s=1)

    def _attempt(self) -> bool:
        """Take or renew it; whether that is done."""
        try:
            self._look()
        except NotFound:
            return self._create()
        except Unreachable as error:
            log.warning("lease_not_read", lease=self._lease.name, error=str(error))
            return False
        return (self._is_ours() or self._is_free()) and self._write(self._lease.holder, DURATION_S)

    def _look(self) -> None:
        self._object = self._api.get(self._path, timeout_s=LOOK_S)
        version = str(self._object["metadata"]["resourceVersion"])
        if version != self._seen[0]:
            self._seen = version, self._clock()

    def _is_ours(self) -> bool:
        return bool((self._object.get("spec") or {}).get("holderIdentity") == self._lease.holder)

    def _is_free(self) -> bool:
        spec = self._object.get("spec") or {}
        lasted_s = self._clock() - self._seen[1]
        return not spec.get("holderIdentity") or lasted_s >= float(spec.get("leaseDurationSeconds") or DURATION_S)

    def _create(self) -> bool:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._lease.name, "namespace": self._lease.namespace},
            "spec": self._spec(self._lease.holder, DURATION_S),
        }
        return self._send(lambda: self._api.post(collection_path("Lease", self._lease.namespace), body))

    def _write(self, holder: str, duration_s: int) -> bool:
        body = {**self._object, "spec": self._spec(holder, duration_s)}
        return self._send(lambda: self._api.put(self._path, body))

    def _send(self, request: Callable[[], dict[str, Any]]) -> bool:
        asked_s = self._clock()
        try:
            self._object = request()
        except Conflict:
            return False  # somebody was faster
        except Unreachable as error:
            log.warning("lease_not_written", lease=self._lease.name, error=str(error))
            return False
        self._seen = str(self._object["metadata"]["resourceVersion"]), asked_s
        self._renewed_s = asked_s
        return True

    def _spec(self, holder: str, duration_s: int) -> dict[str, Any]:
        old = self._object.get("spec") or {}
        time_now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        same = old.get("holderIdentity") == holder
        return {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration_s,
            "acquireTime": old.get("acquireTime", time_now) if same else time_now,
            "renewTime": time_now,
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (not same),
        }
