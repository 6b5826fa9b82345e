"""`bulkhead controller`: wait to be elected, then keep the status of every policy true, and issue certificates.

Only who leads watches anything: a replica that waits costs the API server one small request every few seconds. A
leader that loses its Lease ends, and is started anew as one that waits. Next step: `controller.state`, and
`controller.issuing` for certificates.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial

from bulkhead.controller.certificates import CertificateSettings
from bulkhead.controller.issuing import Issuing
from bulkhead.controller.state import KINDS, ControllerState
from bulkhead.controller.telling import OLDEST_S, Teller
from bulkhead.kube import signing
from bulkhead.kube.client import Api
from bulkhead.kube.lease import Lease, LeaseName
from bulkhead.kube.metrics import client_samples
from bulkhead.kube.objects import collection_path
from bulkhead.kube.reflector import Reflector
from bulkhead.log import get_log
from bulkhead.monitoring import catalog
from bulkhead.monitoring.checks import WELL, Check, Health, Heartbeat
from bulkhead.monitoring.exposition import Exposition, Sample
from bulkhead.monitoring.server import MonitoringServer
from bulkhead.supervisor import Supervisor

ROUND_S = 10 * OLDEST_S  # of telling: the API server may take a minute to refuse a request
JOIN_S = 5.0

log = get_log()


@dataclass(frozen=True)
class ControllerSettings:
    """`agents` selects the agents' pods, in the namespace of `lease`; `monitoring` is host:port, or empty.

    `certificates`: None where they are somebody else's.
    """

    lease: LeaseName
    agents: str = "app.kubernetes.io/component=agent"
    monitoring: str = ""
    certificates: CertificateSettings | None = None


class Controller:
    """One replica."""

    def __init__(self, api: Api, settings: ControllerSettings) -> None:
        self._api, self._settings = api, settings
        self._state = ControllerState()
        self._lease = Lease(api, settings.lease)
        self._rounds = Heartbeat(ROUND_S)
        self._teller = Teller(api, self._state, self._rounds)
        self._stopping = threading.Event()
        self._watches = {kind: self._watch(kind) for kind in sorted(KINDS)}
        self._issuing = Issuing(api, settings.certificates) if settings.certificates else None
        if self._issuing:
            self._watches[signing.KIND] = self._issuing.watch

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises `Unreachable` where the Lease was lost."""
        exposition = Exposition("controller")
        exposition.add(self.samples)
        address, supervisor = self._settings.monitoring, Supervisor()
        with closing(MonitoringServer(address, exposition, self.health())) if address else nullcontext():
            supervisor.start("leading", partial(self._lead, supervisor))
            try:
                supervisor.wait()
            finally:
                self.stop()
                supervisor.join(JOIN_S)

    def stop(self) -> None:
        """End soon."""
        self._stopping.set()
        self._state.changed.set()
        if self._issuing:
            self._issuing.wake()
        for watch in self._watches.values():
            watch.stop()

    def health(self) -> Health:
        """Ready is who waits, and who leads and has heard all there is. An API server that is away mends itself."""
        return Health(alive=(Check("telling", self._rounds.ask),), ready=(Check("watches", self._unheard),))

    def samples(self) -> Iterator[Sample]:
        """For Prometheus."""
        policies, refused, nodes = self._state.counts()
        yield Sample(catalog.LEADING, self._lease.leading.is_set())
        yield Sample(catalog.JUDGED, policies - refused, ("accepted",))
        yield Sample(catalog.JUDGED, refused, ("refused",))
        yield Sample(catalog.NODES, nodes)
        yield Sample(catalog.STATUS_WRITES, self._teller.writes)
        yield Sample(catalog.STATUS_FAILURES, self._teller.failures)
        if self._issuing:
            yield from self._issuing.samples()
        yield from client_samples(self._api, self._watches)

    def _lead(self, supervisor: Supervisor) -> None:
        if not self._lease.campaign(self._stopping):
            return
        for kind, watch in self._watches.items():
            supervisor.start(f"watch {kind}", watch.run)
        supervisor.start("telling", partial(self._teller.run, self._stopping))
        if self._issuing:
            supervisor.start("certificates", partial(self._issuing.run, self._stopping))
        self._lease.keep(self._stopping)

    def _unheard(self) -> str:
        if not self._lease.leading.is_set():
            return WELL
        missing = sorted(kind for kind, watch in self._watches.items() if not watch.synced.is_set())
        return f"not listed yet: {', '.join(missing)}" if missing else WELL

    def _watch(self, kind: str) -> Reflector:
        agents = kind == "Pod"
        return Reflector(
            self._api,
            collection_path(kind, self._settings.lease.namespace if agents else ""),
            partial(self._state.replace, kind),
            partial(self._state.change, kind),
            label_selector=self._settings.agents if agents else "",
        )
