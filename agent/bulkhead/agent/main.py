"""`bulkhead agent`: adopt or load the programs, put containers under their policies, deliver violations.

Killed at any moment, it leaves programs, policies and undelivered records in the kernel and on disk; the next one takes
them over. Next step: `agent.sync` for what is enforced, `agent.pump` for what is told.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.agent.backlog import reading_early
from bulkhead.agent.complaints import Complaints
from bulkhead.agent.drift import DriftCheck
from bulkhead.agent.names import EnforcerNames
from bulkhead.agent.pump import Pump
from bulkhead.agent.source import Input
from bulkhead.agent.sync import Sync
from bulkhead.agent.vitals import Vitals
from bulkhead.enforcement.building import Workshop
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.enforcement.roots import allow_descriptors
from bulkhead.enforcement.starts import Starts
from bulkhead.errors import NotEnforceable
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import Instance, load_instance
from bulkhead.log import get_log
from bulkhead.monitoring.checks import Heartbeat
from bulkhead.report import ledger_file
from bulkhead.report.channel import Tls, open_channel
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.reconcile import CounterName
from bulkhead.report.reporter import Reporter
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from bulkhead.settings import Paths
from bulkhead.supervisor import Supervisor

SYNC_S = 0.5
DRAIN_S = 5.0

log = get_log()


@dataclass(frozen=True)
class AgentSettings:
    """What the agent is told. Without a collector, violations wait in the spool.

    `ready` is a file that is made once everything that was asked for is enforced, and is not there before. `monitoring`
    is where health and metrics are told (`agent.vitals`): host:port, or empty for nowhere.
    """

    node: str
    collector: str = ""
    tls: Tls | None = None
    paths: Paths = field(default_factory=Paths)
    ready: Path | None = None
    monitoring: str = ""


def node_identity(name: str) -> NodeIdentity:
    """This node, in this boot."""
    return NodeIdentity(name, Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def run_agent(settings: AgentSettings, asked: Input) -> None:
    """Until SIGTERM or SIGINT. Raises `BulkheadError`; what is enforced goes on in every case."""
    allow_descriptors()
    vitals = Vitals()
    with vitals.serve(settings.monitoring):  # first: compiling takes its time, and somebody may ask meanwhile
        _take_over_and_run(settings, asked, vitals)


def _take_over_and_run(settings: AgentSettings, asked: Input, vitals: Vitals) -> None:
    try:
        node = node_identity(settings.node)
        spool = Spool(settings.paths.spool, node)  # first: it is locked, so that a second agent changes nothing
        with reading_early(settings.paths.pins) as backlog:
            instance = _loaded(settings)
    except NotEnforceable as error:
        asked.tell_unable(error)
        raise
    enforcer = Enforcer(instance, Records(settings.paths.state), Workshop().image)
    enforcer.adopt()
    ledger_path = settings.paths.state / "ledger.json"
    reporter = Reporter(EnforcerNames(enforcer), node, [spool], ledger_file.load(ledger_path, node.boot_id))
    pump = Pump(instance, reporter, LedgerKeeper(ledger_path, reporter, node.boot_id, vitals.pump).keep)
    if instance.maps_kept:
        pump.take_over(backlog)
    sync, stream = Sync(enforcer, asked.source), _stream(settings, spool)
    drift = DriftCheck(enforcer.repair)
    sync.on_step(drift.step)
    vitals.watch(sync, instance.statistics, lambda: (*asked.samples(), *drift.samples()))
    vitals.watch_delivery(spool, stream)
    _run(settings, asked, _Parts(sync, Starts(instance), pump, Complaints(instance), stream, vitals))
    log.info("agent_stopped", enforced=len(enforcer.containers()))


def _loaded(settings: AgentSettings) -> Instance:
    instance = load_instance(bundle_for_this_kernel(settings.paths.state / "bundles"), settings.paths.pins)
    event, hooks = "programs_adopted" if instance.adopted else "programs_loaded", instance.bundle.parameters.bpf_lsm
    log.info(event, programs=len(instance.programs), attached_to="lsm" if hooks else "functions")
    return instance


@dataclass(frozen=True)
class _Parts:
    """What runs."""

    sync: Sync
    starts: Starts
    pump: Pump
    complaints: Complaints
    stream: Stream | None
    vitals: Vitals


def _run(settings: AgentSettings, asked: Input, parts: _Parts) -> None:
    """All tasks, until a signal comes or one fails."""
    stopping = threading.Event()
    supervisor = Supervisor()
    supervisor.start("pump", parts.pump.run)
    supervisor.start("complaints", lambda: parts.complaints.run(stopping))
    for name, task in asked.tasks(parts.sync, parts.starts).items():
        supervisor.start(name, task)
    supervisor.start("sync", lambda: _sync_until(stopping, parts, asked, settings))
    if parts.stream:
        parts.stream.start()
    try:
        supervisor.wait()
    finally:
        stopping.set()
        asked.changed.set()
        asked.stop()
        parts.pump.stop()
        supervisor.join(DRAIN_S)
        if parts.stream:
            parts.stream.drain(DRAIN_S)
            parts.stream.stop()


class LedgerKeeper:
    """Writes down what was told, when it has changed. `rounds` is told of each round of the pump."""

    def __init__(self, path: Path, reporter: Reporter, boot_id: str, rounds: Heartbeat) -> None:
        self._path, self._reporter, self._boot_id, self._rounds = path, reporter, boot_id, rounds
        self._kept: dict[CounterName, int] = {}

    def keep(self) -> None:
        """Called after everything told is in the spool."""
        self._rounds.beat()
        told = self._reporter.ledger.told
        if told != self._kept:
            ledger_file.save(self._path, self._reporter.ledger, self._boot_id)
            self._kept = dict(told)


def _stream(settings: AgentSettings, spool: Spool) -> Stream | None:
    if not settings.collector:
        return None
    return Stream(spool, settings.node, lambda: open_channel(settings.collector, settings.tls))


def _sync_until(stopping: threading.Event, parts: _Parts, asked: Input, settings: AgentSettings) -> None:
    is_ready, sync = False, parts.sync
    while not stopping.is_set():
        asked.changed.clear()
        began_s = time.monotonic()
        parts.vitals.looked(sync.step(), time.monotonic() - began_s)
        if sync.synced.is_set() and not is_ready:
            is_ready = True
            log.info("agent_ready", node=settings.node, containers=len(sync.applied()), pid=os.getpid())
            if settings.ready:
                settings.ready.touch()
        if not sync.unfinished:
            asked.changed.wait(SYNC_S)
