"""One command under policies, on this machine, without a cluster: what `bulkhead run` does.

Programs and maps are this process's own and go with it. The command starts in a fresh cgroup, under its policy from
its first instruction; when it has ended, what it left running is killed, because nothing would enforce on it any more.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bulkhead.agent.main import node_identity
from bulkhead.agent.names import EnforcerNames
from bulkhead.agent.pump import Pump
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.enforcement.roots import mount_namespace
from bulkhead.errors import BulkheadError, NotEnforceable, UsageError
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import Instance, load_instance
from bulkhead.kernel.preflight import require_enforcing
from bulkhead.log import get_log
from bulkhead.node import cgroups
from bulkhead.node.anchors import MountWatch, watch_mounts
from bulkhead.node.container import Container
from bulkhead.node.launch import launch
from bulkhead.policy.rules import PolicyRules
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.reporter import JsonLines, Reporter, Sink, open_json_lines
from bulkhead.settings import Paths

MOUNT_POLL_S = 0.2

log = get_log()


@dataclass(frozen=True)
class Trial:
    """What to run, under what. `events` is the file for violations, or None."""

    command: Sequence[str]
    policies: tuple[PolicyRules, ...]
    events: Path | None = None


def run_trial(trial: Trial) -> int:
    """Run the command; returns its exit status. The event file is complete when this returns.

    Raises `BulkheadError` where the command was not started.
    """
    require_enforcing()
    node = node_identity(os.uname().nodename)
    with _sinks(trial.events, node) as sinks, _loaded() as instance, _fresh_cgroup() as cgroup:
        enforcer = Enforcer(instance, Records(None))
        reporter = Reporter(EnforcerNames(enforcer), node, sinks)
        running = _Running(enforcer, Pump(instance, reporter), cgroup, trial.policies)
        try:
            launched = launch(trial.command, cgroup.path, running.begin)
            if launched.refused:
                print(f"bulkhead: {trial.command[0]}: {launched.refused}", file=sys.stderr)
            return launched.wait()
        finally:
            running.end()


class _Running:
    """What goes on beside the command: reading records, and looking whether it has mounted something."""

    def __init__(
        self, enforcer: Enforcer, pump: Pump, cgroup: cgroups.Cgroup, policies: tuple[PolicyRules, ...]
    ) -> None:
        self._enforcer, self._pump, self._cgroup, self._policies = enforcer, pump, cgroup, policies
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        self._failure: BulkheadError | OSError | None = None

    def begin(self, pid: int) -> None:
        """Called with the waiting child, before the command's first instruction."""
        container = Container(self._cgroup.path.name, self._cgroup.path, self._cgroup.id, pid=pid)
        watch = watch_mounts(pid)  # before the command is let go: it may have ended when a thread comes to run
        self._enforcer.enforce(container, self._policies)
        for task in (self._pump.run, lambda: self._follow_mounts(container, watch)):
            thread = threading.Thread(target=self._guard, args=(task,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        """The command has ended: end what it left behind, and tell the rest."""
        cgroups.remove(self._cgroup.path)
        self._stopping.set()
        self._pump.stop()
        for thread in self._threads:
            thread.join()
        if self._threads:
            self._guard(self._pump.finish)
        if isinstance(self._failure, OSError):
            raise BulkheadError(
                f"violations cannot be written: {self._failure.strerror}; the command has ended, its policy held, but "
                "the file of events is not complete"
            ) from self._failure
        if self._failure:
            raise self._failure

    def _guard(self, task: Callable[[], None]) -> None:
        try:
            task()
        except (BulkheadError, OSError) as error:
            self._failure = error

    def _follow_mounts(self, container: Container, watch: MountWatch) -> None:
        """A mount that the command makes is unknown, and judged strictly, until it is announced here."""
        assert container.pid is not None
        with watch:
            while not self._stopping.is_set():
                if not watch.changed(MOUNT_POLL_S):
                    continue
                try:
                    self._enforcer.enforce(container, self._policies)
                except NotEnforceable:
                    if mount_namespace(container.pid):
                        raise
                    return  # the command has ended; what it left behind is about to be killed


@contextmanager
def _sinks(events: Path | None, node: NodeIdentity) -> Iterator[list[Sink]]:
    if events is None:
        yield []
        return
    try:
        file = open_json_lines(events)
    except OSError as error:
        raise UsageError(f"{events}: {error.strerror}; nothing was started") from error
    try:
        yield [JsonLines(file, node)]
    finally:
        with suppress(OSError):  # every batch was flushed, or its failure told: this would be the same one again
            file.close()


@contextmanager
def _loaded() -> Iterator[Instance]:
    instance = load_instance(bundle_for_this_kernel(Paths().state / "bundles"))
    try:
        yield instance
    finally:
        instance.close()


@contextmanager
def _fresh_cgroup() -> Iterator[cgroups.Cgroup]:
    name = f"bulkhead-run-{os.getpid()}-{time.monotonic_ns()}"  # pids come again, and in every pid namespace
    cgroup = cgroups.create(cgroups.mount_point() / name)
    try:
        yield cgroup
    finally:
        if cgroup.path.exists():
            cgroups.remove(cgroup.path)
