"""Takes all of Bulkhead out of a node's kernel, and waits: what the agents of a cluster do before it is uninstalled.

The chart restarts them with --remove. Each stays, so that its pod counts as ready and nothing starts it anew. State on
disk is left: violations that no collector has yet, and bundles. Next step: `cli.uninstall` waits for all of them.
"""

from __future__ import annotations

import threading
from contextlib import closing, nullcontext
from pathlib import Path

from bulkhead.kernel.instance import remove_instance
from bulkhead.log import get_log
from bulkhead.monitoring.checks import Check, Health, happened
from bulkhead.monitoring.exposition import Exposition
from bulkhead.monitoring.server import MonitoringServer
from bulkhead.report.disk import Disk
from bulkhead.report.spool import lock_spool
from bulkhead.settings import Paths
from bulkhead.supervisor import Supervisor

log = get_log()


def remove_and_wait(paths: Paths, ready: Path | None, monitoring: str = "") -> None:
    """Remove, make the file `ready`, and return at SIGTERM or SIGINT. Raises `UsageError` where an agent runs here.

    `monitoring` is where to say the same over HTTP: host:port, or empty.
    """
    removed = threading.Event()
    health = Health(ready=(Check("removed", happened(removed, "not yet")),))
    with closing(MonitoringServer(monitoring, Exposition("agent"), health)) if monitoring else nullcontext():
        _remove_and_wait(paths, ready, removed)


def _remove_and_wait(paths: Paths, ready: Path | None, removed: threading.Event) -> None:
    lock_spool(paths.spool, Disk())  # held until we end: no agent may make everything anew meanwhile
    remove_instance(paths.pins)
    log.info("enforcement_removed", pins=str(paths.pins))
    removed.set()
    if ready:
        ready.touch()
    Supervisor().wait()
