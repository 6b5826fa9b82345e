"""An agent is ready when what should be enforced is; its metrics are those of the catalog."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from bulkhead.agent.cluster.certificate import AgentCertificate
from bulkhead.agent.cluster.input import ClusterInput, ClusterSettings
from bulkhead.agent.cluster.statement import NodeFacts
from bulkhead.agent.drift import DriftCheck
from bulkhead.agent.source import Assignment
from bulkhead.agent.sync import Sync
from bulkhead.agent.vitals import CURRENT_S, LOOK_S, Vitals
from bulkhead.certificates.authority import Leaf, Usage, issue, make_authority
from bulkhead.certificates.names import Names, node_uri
from bulkhead.certificates.pair import pem
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.errors import DoesNotFit, Unreachable
from bulkhead.kube.client import connect
from bulkhead.kube.kubeconfig import Choice
from bulkhead.monitoring.catalog import PROGRAMS
from bulkhead.monitoring.checks import Check
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from bulkhead.report.channel import open_channel
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason
from tests.unit.agent.cluster.objects import broken, policy
from tests.unit.monitoring.asking import ask, families, served, values
from tests.unit.report.samples import NODE, entry

UNREACHABLE = "127.0.0.1:1"  # nobody listens there


def certificate_of(node: str) -> dict[str, str]:
    """What an agent that was here before has left."""
    now, hours = datetime.now(UTC), timedelta(hours=24)
    authority = make_authority(now, hours, "bulkhead")
    certificate, key = issue(authority, Leaf("agent", (node_uri(node),), Usage.CLIENT, hours), now)
    parts = {"certificate": certificate, "key": key, "authorities": pem(authority.certificate)}
    return {name: text.decode() for name, text in parts.items()}


class StubbornEnforcer:
    """Enforces nothing while `failure` is set."""

    def __init__(self) -> None:
        self.failure: DoesNotFit | None = None

    def containers(self) -> tuple[()]:
        """None that anybody left behind."""
        return ()

    def enforce(self, container: Container, policies: object) -> bool:
        """As `Enforcer`."""
        if self.failure:
            raise self.failure
        return True

    def is_stale(self, container: Container) -> bool:
        """Never."""
        return False


class Said:
    """A source that says what the test has it say."""

    def __init__(self, *assignments: Assignment) -> None:
        self.assignments: tuple[Assignment, ...] | None = assignments

    def read(self) -> tuple[Assignment, ...] | None:
        """It."""
        return self.assignments

    def spared(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def is_over(self, container: Container) -> bool:
        """Always."""
        return True


@pytest.fixture
def enforcer() -> StubbornEnforcer:
    """It does as it is told."""
    return StubbornEnforcer()


@pytest.fixture
def source(tmp_path: Path) -> Said:
    """One container, whose process is there as long as this one."""
    return Said(Assignment(Container("shop/web-0/web", tmp_path, 7, pid=os.getpid()), ()))


@pytest.fixture
def sync(enforcer: StubbornEnforcer, source: Said) -> Sync:
    """Of both."""
    return Sync(cast(Enforcer, enforcer), source)


def wrong(checks: tuple[Check, ...]) -> dict[str, str]:
    """What is, by check."""
    return {check.name: check.ask() for check in checks if check.ask()}


def look(vitals: Vitals, sync: Sync) -> None:
    """As the agent's loop does."""
    vitals.looked(sync.step(), 0.01)


def test_an_agent_without_programs_is_alive_and_not_ready() -> None:
    """It may be compiling: to start it anew would not help."""
    health = Vitals().health()
    assert wrong(health.alive) == {}
    assert wrong(health.ready).keys() == {"programs", "sync"}


def test_an_agent_is_ready_once_all_is_enforced(sync: Sync, source: Said) -> None:
    """Not while the source has not been heard in full, as before the first list from an API server."""
    vitals = Vitals()
    vitals.watch(sync, dict, tuple)
    heard, source.assignments = source.assignments, None
    look(vitals, sync)
    assert wrong(vitals.health().ready).keys() == {"sync"}
    source.assignments = heard
    look(vitals, sync)
    assert wrong(vitals.health().ready) == {}


def test_a_container_that_is_behind_makes_the_agent_unready(sync: Sync, enforcer: StubbornEnforcer) -> None:
    """And ready again when it is no longer; its name is not told to whoever asks."""
    vitals = Vitals()
    vitals.watch(sync, dict, tuple)
    enforcer.failure = DoesNotFit("states", 2, 1)
    look(vitals, sync)
    assert "1 not as their policies say" in wrong(vitals.health().ready)["containers"]
    assert "web" not in str(wrong(vitals.health().ready))
    enforcer.failure = None
    sync._failed.clear()  # its next attempt is due
    look(vitals, sync)
    assert wrong(vitals.health().ready) == {}


def test_a_process_that_ended_while_it_was_looked_at_is_no_failure(
    sync: Sync, enforcer: StubbornEnforcer, source: Said, tmp_path: Path
) -> None:
    """The container goes, or another process stands for it at once: nothing is behind."""
    vitals = Vitals()
    vitals.watch(sync, dict, tuple)
    source.assignments = (Assignment(Container("shop/web-0/web", tmp_path, 7, pid=1 << 30), ()),)
    enforcer.failure = DoesNotFit("states", 2, 1)
    look(vitals, sync)
    assert wrong(vitals.health().ready) == {}
    assert sync.counts.failures == 0


def test_an_agent_that_looks_no_more_is_not_ready_and_at_last_not_alive(sync: Sync) -> None:
    """What was true a minute ago is not told as true; a loop that never comes round is started anew."""
    now = [0.0]
    vitals = Vitals(lambda: now[0])
    vitals.watch(sync, dict, tuple)
    look(vitals, sync)
    now[0] = CURRENT_S + 1
    assert wrong(vitals.health().ready).keys() == {"sync"}
    assert wrong(vitals.health().alive) == {}
    now[0] = LOOK_S + 1
    assert wrong(vitals.health().alive).keys() == {"sync"}


def test_metrics_are_those_of_the_catalog(sync: Sync, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them and no others, with an API server and a collector that are away: the agent is ready all the same."""
    monkeypatch.setattr(cgroups, "mount_point", lambda: tmp_path)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\nusers: [{name: x, user: {token: y}}]\n"
        "contexts: [{name: x, context: {cluster: x, user: x}}]\n"
        f"clusters: [{{name: x, cluster: {{server: 'http://{UNREACHABLE}'}}}}]\n"
    )
    api, kept = connect(Choice(kubeconfig)), tmp_path / "certificate.json"
    kept.write_text(json.dumps(certificate_of("vm0")))
    certificate = AgentCertificate(api, Names("ns", "bulkhead"), "vm0", kept)
    asked = ClusterInput(api, NodeFacts("vm0", "6.12", "boot"), ClusterSettings(tmp_path / "accepted"), certificate)
    asked._state.replace("SecurityPolicy", [policy(), broken(name="other", uid="p-2")])
    reflector = asked._watching._reflectors["Pod"]
    reflector._sleep = lambda _: None
    reflector._fail(cast(Unreachable, reflector._attempt()))
    reflector.counters.last_contact = 1.0
    spool = Spool(tmp_path / "spool", NODE)
    spool.append([entry(1), Entry(gap=Gap(reason=GapReason.GAP_REASON_KERNEL_FULL, count=5))])
    vitals = Vitals()
    drift = DriftCheck(dict)
    samples = lambda: (*asked.samples(), *drift.samples())  # noqa: E731  # as the agent does
    vitals.watch(sync, lambda: {"records": 9, "counters_full": 1}, samples)
    vitals.watch_delivery(spool, Stream(spool, "vm0", lambda: open_channel(UNREACHABLE, None)))
    look(vitals, sync)
    with served(vitals._exposition, vitals.health()) as port:
        assert ask(port, "/readyz")[0] == 200
        text = ask(port, "/metrics")[1]
    assert families(text) == {metric.name for metric in PROGRAMS["agent"]}
    found = values(text)
    assert found["bulkhead_containers", ("enforced",)] == 1
    assert found["bulkhead_policies", ("accepted",)] == 1
    assert found["bulkhead_policies", ("refused",)] == 1
    assert found["bulkhead_kernel_events_total", ("counters_full",)] == 1
    assert found["bulkhead_gap_violations_total", ("kernel_full",)] == 5
    assert found["bulkhead_spool_pending_entries", ()] == 2
    assert found["bulkhead_stream_connected", ()] == 0
    assert found["bulkhead_watch_errors_total", ("Unreachable", "Pod")] == 1
    assert found["bulkhead_api_requests_total", ("0", "watch")] == 1
    spool.close()
