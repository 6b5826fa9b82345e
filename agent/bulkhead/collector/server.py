"""The collector as a program: a port, the services on it, the store under them.

Readers with tokens of a cluster have a port of their own: on it no certificate is asked for, and nothing is taken.
`serve` runs until it is told to stop; `Collector` is the same for tests, which start and end several. Next step down:
`collector.ingest` and `collector.readers`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from bulkhead.collector.commits import Commits
from bulkhead.collector.grants import Grants, Reviewer
from bulkhead.collector.ingest import Ingest
from bulkhead.collector.readers import Violations
from bulkhead.collector.roles import Roles
from bulkhead.collector.serving import Serving, serving
from bulkhead.collector.store import Store
from bulkhead.collector.tokens import TokenAuthorizer
from bulkhead.collector.vitals import Vitals
from bulkhead.errors import UsageError
from bulkhead.log import get_log
from bulkhead.monitoring.exposition import Reader
from bulkhead.monitoring.server import MonitoringServer
from bulkhead.report.channel import TlsFiles
from bulkhead.report.engine import keep_engine
from bulkhead.settings import BATCH_BYTES_LIMIT, GrantLimits, StoreLimits
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
TOKEN_OPTIONS = [
    *OPTIONS,
    ("grpc.max_metadata_size", 16_384),  # a token of many groups
    ("grpc.absolute_max_metadata_size", 16_384),
]
TOKEN_CALLS = 256  # at once, of readers with tokens

NO_TLS = TlsFiles()
DEFAULT_LIMITS = StoreLimits()
DEFAULT_GRANTS = GrantLimits()
EVERYBODY = Roles()


@dataclass(frozen=True)
class TokenReaders:
    """Where readers with tokens are served, host:port, and who knows what they may. `samples` are the latter's."""

    listen: str
    reviewer: Reviewer
    limits: GrantLimits = DEFAULT_GRANTS
    samples: Reader = tuple


@dataclass(frozen=True)
class CollectorOptions:
    """What the command line says. `listen` is host:port; port 0 takes a free one. No certificate: no TLS.

    `tls.authority` makes client certificates mandatory, `roles` says whose may do what. `monitoring` is where health
    and metrics are told (`collector.vitals`): host:port, or empty for nowhere. `tokens`: None for no such readers.
    """

    listen: str
    store: Path
    tls: TlsFiles = NO_TLS
    limits: StoreLimits = DEFAULT_LIMITS
    roles: Roles = EVERYBODY
    monitoring: str = ""
    tokens: TokenReaders | None = None


class Collector:
    """A running collector: `start`, then `stop`. Raises UsageError where it cannot start."""

    def __init__(self, options: CollectorOptions, open_store: Callable[[Path, StoreLimits], Store] = Store) -> None:
        self._options = options
        self._serving = serving(options.tls)
        if options.roles != EVERYBODY and options.tls.authority is None:
            raise UsageError("names of clients need certificates of theirs: give the authority that signs them, too")
        if options.tokens and self._serving is None:
            raise UsageError("who shows a token must know to whom: give a certificate and a key, too")
        self.store = open_store(options.store, options.limits)
        self.vitals = Vitals()
        self._servers: list[grpc.aio.Server] = []
        self._ends = ExitStack()
        self.port = self.token_port = 0

    def monitored(self) -> AbstractContextManager[object]:
        """Tells health and metrics where the options say, until the context ends."""
        vitals, address = self.vitals, self._options.monitoring
        return closing(MonitoringServer(address, vitals.exposition, vitals.health())) if address else nullcontext()

    async def start(self) -> None:
        """Opens the ports; returns when they serve."""
        keep_engine()
        limits, roles, tokens = self._options.limits, self._options.roles, self._options.tokens
        commits = Commits(self.store, limits.queue_batches, self.vitals.took)
        ingest = Ingest(self.store, commits, roles.deliver)
        readers = [Violations(self.store, commits, limits, roles.read)]
        self._tasks = [asyncio.create_task(commits.run()), asyncio.create_task(self.vitals.run())]
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((ingest.handler(),))
        self.port = await self._open(server, readers[0], self._options.listen, self._serving)
        if tokens:
            grants = Grants(tokens.reviewer, tokens.limits)
            self._ends.callback(grants.close)
            readers.append(Violations(self.store, commits, limits, TokenAuthorizer(grants)))
            server = grpc.aio.server(options=TOKEN_OPTIONS, maximum_concurrent_rpcs=TOKEN_CALLS)
            own = serving(replace(self._options.tls, authority=None))
            self.token_port = await self._open(server, readers[1], tokens.listen, own)
            self.vitals.exposition.add(tokens.samples)
        if self._serving:
            self.vitals.exposition.add(self._serving.samples)
        for server in self._servers:
            await server.start()
        self.vitals.watch(self.store, limits.retain_bytes, commits, ingest, readers)
        log.info("collector_started", listen=self._options.listen, port=self.port, store=str(self._options.store))

    async def _open(self, server: grpc.aio.Server, readers: Violations, listen: str, own: Serving | None) -> int:
        """Puts readers and health on a server, and the server on a port. Ends everything where that cannot be."""
        self._servers.append(server)
        add_ViolationsServicer_to_server(readers, server)
        add_HealthServicer_to_server(self.vitals.servicer, server)
        try:
            return server.add_secure_port(listen, own.credentials()) if own else server.add_insecure_port(listen)
        except RuntimeError as error:
            await self.stop()
            raise UsageError(f"{listen}: cannot listen there; nothing was received") from error

    async def failed(self) -> None:
        """Returns never; raises what ended the commits, without which a collector is none."""
        await asyncio.gather(*map(asyncio.shield, self._tasks))

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Ends streams and gives the store back. What was not acknowledged is with the agents."""
        await asyncio.gather(*(server.stop(grace_s) for server in self._servers))
        self._ends.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        await asyncio.to_thread(self.store.close)
        log.info("collector_stopped", store=str(self._options.store))


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
