"""The collector as a program: a port, the services on it, the store under them.

`serve` runs until it is told to stop; `Collector` is the same for tests, which start and end several. Next step down:
`collector.ingest` and `collector.readers`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from bulkhead.collector.commits import Commits
from bulkhead.collector.ingest import Ingest
from bulkhead.collector.readers import Violations
from bulkhead.collector.roles import Roles
from bulkhead.collector.store import Store
from bulkhead.collector.vitals import Vitals
from bulkhead.errors import UsageError
from bulkhead.log import get_log
from bulkhead.monitoring.server import MonitoringServer
from bulkhead.report.channel import TlsFiles, read_pem
from bulkhead.settings import BATCH_BYTES_LIMIT, StoreLimits
from bulkhead.v1.violations_pb2_grpc import add_ViolationsServicer_to_server

log = get_log()

GRACE_S = 2.0  # for streams to end when the collector does; agents and readers come back by themselves
OPTIONS = [
    ("grpc.max_receive_message_length", BATCH_BYTES_LIMIT + 4_096),
    ("grpc.keepalive_time_ms", 30_000),  # an agent that vanished without a word gives its place back
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.so_reuseport", 0),  # a second collector on the port is refused instead of getting half of the agents
]


NO_TLS = TlsFiles()
DEFAULT_LIMITS = StoreLimits()
EVERYBODY = Roles()


@dataclass(frozen=True)
class CollectorOptions:
    """What the command line says. `listen` is host:port; port 0 takes a free one. No certificate: no TLS.

    `tls.authority` makes client certificates mandatory, `roles` says whose may do what. `monitoring` is where health
    and metrics are told (`collector.vitals`): host:port, or empty for nowhere.
    """

    listen: str
    store: Path
    tls: TlsFiles = NO_TLS
    limits: StoreLimits = DEFAULT_LIMITS
    roles: Roles = EVERYBODY
    monitoring: str = ""


class Collector:
    """A running collector: `start`, then `stop`. Raises UsageError where it cannot start."""

    def __init__(self, options: CollectorOptions, open_store: Callable[[Path, StoreLimits], Store] = Store) -> None:
        self._options = options
        self._credentials = credentials(options.tls)
        if options.roles != EVERYBODY and options.tls.authority is None:
            raise UsageError("names of clients need certificates of theirs: give the authority that signs them, too")
        self.store = open_store(options.store, options.limits)
        self.vitals = Vitals()
        self.port = 0

    def monitored(self) -> AbstractContextManager[object]:
        """Tells health and metrics where the options say, until the context ends."""
        vitals, address = self.vitals, self._options.monitoring
        return closing(MonitoringServer(address, vitals.exposition, vitals.health())) if address else nullcontext()

    async def start(self) -> None:
        """Opens the port; returns when it serves."""
        limits, roles = self._options.limits, self._options.roles
        commits = Commits(self.store, limits.queue_batches, self.vitals.took)
        ingest, readers = (
            Ingest(self.store, commits, roles.deliver),
            Violations(self.store, commits, limits, roles.read),
        )
        self._tasks = [asyncio.create_task(commits.run()), asyncio.create_task(self.vitals.run())]
        self._server = grpc.aio.server(options=OPTIONS)
        self._server.add_generic_rpc_handlers((ingest.handler(),))
        add_ViolationsServicer_to_server(readers, self._server)
        add_HealthServicer_to_server(self.vitals.servicer, self._server)
        try:
            self.port = self._bind()
        except RuntimeError as error:
            await self.stop()
            raise UsageError(f"{self._options.listen}: cannot listen there; nothing was received") from error
        await self._server.start()
        self.vitals.watch(self.store, limits.retain_bytes, commits, ingest, readers)
        log.info("collector_started", listen=self._options.listen, port=self.port, store=str(self._options.store))

    def _bind(self) -> int:
        if self._credentials:
            return self._server.add_secure_port(self._options.listen, self._credentials)
        return self._server.add_insecure_port(self._options.listen)

    async def failed(self) -> None:
        """Returns never; raises what ended the commits, without which a collector is none."""
        await asyncio.gather(*map(asyncio.shield, self._tasks))

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ends streams and gives the store back. What was not acknowledged is with the agents."""
        await self._server.stop(grace_s)
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await asyncio.to_thread(self.store.close)
        log.info("collector_stopped", store=str(self._options.store))


def credentials(tls: TlsFiles) -> grpc.ServerCredentials | None:
    """Server credentials, or None without a certificate. Raises UsageError for a combination that would not protect."""
    if tls.certificate is None and tls.key is None:
        if tls.authority is not None:
            raise UsageError("client certificates need TLS: give a certificate and a key, too")
        return None
    if tls.certificate is None or tls.key is None:
        raise UsageError("a TLS certificate and its key go together: give both or neither")
    pair = (read_pem(tls.key), read_pem(tls.certificate))
    authority = read_pem(tls.authority) if tls.authority else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


async def serve(options: CollectorOptions) -> None:
    """Serves until SIGTERM or SIGINT. What ends it otherwise is raised, so that whoever started it starts it anew."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    collector = Collector(options)
    with collector.monitored():
        await collector.start()
        ends = [asyncio.create_task(stopping.wait()), asyncio.create_task(collector.failed())]
        ended, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        await collector.stop()
    for each in ended:
        each.result()
