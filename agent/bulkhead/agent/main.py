"""`bulkhead agent`: adopt or load the programs, put containers under their policies, deliver violations.

Killed at any moment, it leaves programs, policies and undelivered records in the kernel and on disk; the next one takes
them over. Next step: `agent.sync` for what is enforced, `agent.pump` for what is told.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.agent.desired import Labels, PolicyFolder
from bulkhead.agent.names import EnforcerNames
from bulkhead.agent.pump import Pump
from bulkhead.agent.supervisor import Supervisor
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance
from bulkhead.kernel.preflight import require_bpf_lsm
from bulkhead.log import get_log
from bulkhead.report import ledger_file
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.reconcile import CounterName
from bulkhead.report.reporter import Reporter
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from bulkhead.settings import Paths

SYNC_S = 0.5
DRAIN_S = 5.0

log = get_log()


@dataclass(frozen=True)
class AgentSettings:
    """What the agent is told. Without a collector, violations wait in the spool."""

    policies: Path
    cgroup: str
    node: str
    collector: str = ""
    tls: TlsFiles | None = None
    labels: Labels = field(default_factory=Labels)
    paths: Paths = field(default_factory=Paths)


def node_identity(name: str) -> NodeIdentity:
    """This node, in this boot."""
    return NodeIdentity(name, Path("/proc/sys/kernel/random/boot_id").read_text().strip())


def run_agent(settings: AgentSettings) -> None:
    """Until SIGTERM or SIGINT. Raises `BulkheadError`; what is enforced goes on in every case."""
    require_bpf_lsm()
    node = node_identity(settings.node)
    spool = Spool(settings.paths.spool, node)  # first: it is locked, so that a second agent changes nothing
    bundle = bundle_for_this_kernel(settings.paths.state / "bundles")
    instance = load_instance(bundle, settings.paths.pins)
    log.info("programs_adopted" if instance.adopted else "programs_loaded", programs=len(instance.programs))
    enforcer = Enforcer(instance, Records(settings.paths.state))
    enforcer.adopt()
    ledger_path = settings.paths.state / "ledger.json"
    reporter = Reporter(EnforcerNames(enforcer), node, [spool], ledger_file.load(ledger_path, node.boot_id))
    pump = Pump(instance, reporter, LedgerKeeper(ledger_path, reporter, node.boot_id).keep)
    folder = PolicyFolder(settings.policies, settings.labels, settings.paths.state / "policies")
    sync = Sync(enforcer, folder, settings.cgroup)
    stream = _stream(settings, spool)
    stopping = threading.Event()
    supervisor = Supervisor()
    if instance.maps_kept:
        pump.take_over()
    sync.step()
    log.info("agent_ready", node=settings.node, containers=len(enforcer.containers()), pid=os.getpid())
    supervisor.start("pump", pump.run)
    supervisor.start("sync", lambda: _sync_until(sync, stopping))
    if stream:
        stream.start()
    try:
        supervisor.wait()
    finally:
        stopping.set()
        pump.stop()
        supervisor.join(DRAIN_S)
        if stream:
            stream.drain(DRAIN_S)
            stream.stop()
        log.info("agent_stopped", enforced=len(enforcer.containers()))


class LedgerKeeper:
    """Writes down what was told, when it has changed."""

    def __init__(self, path: Path, reporter: Reporter, boot_id: str) -> None:
        self._path, self._reporter, self._boot_id = path, reporter, boot_id
        self._kept: dict[CounterName, int] = {}

    def keep(self) -> None:
        """Called after everything told is in the spool."""
        told = self._reporter.ledger.told
        if told != self._kept:
            ledger_file.save(self._path, self._reporter.ledger, self._boot_id)
            self._kept = dict(told)


def _stream(settings: AgentSettings, spool: Spool) -> Stream | None:
    if not settings.collector:
        return None
    return Stream(spool, settings.node, lambda: open_channel(settings.collector, settings.tls))


def _sync_until(sync: Sync, stopping: threading.Event) -> None:
    while not stopping.wait(SYNC_S):
        sync.step()
