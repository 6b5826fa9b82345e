"""A collector is ready when it takes violations, and says so by HTTP and by gRPC alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from bulkhead.collector import commits, vitals
from bulkhead.collector.arrival import Arrival
from bulkhead.collector.store import Store, StoreFull
from bulkhead.monitoring.catalog import API_REQUESTS, CERTIFICATE, CERTIFICATE_FAILURES, PROGRAMS
from tests.unit.collector.running import HELLO, batch, converse, running, subscribed
from tests.unit.monitoring.asking import ask, families, served, values
from tests.unit.report.samples import entry

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
PATIENCE_S = 30.0


class FullStore(Store):
    """Takes nothing while `is_full`."""

    is_full = True

    def commit(self, arrivals: Sequence[Arrival]) -> None:
        """As a disk without room."""
        self.probe()
        super().commit(arrivals)

    def probe(self) -> None:
        """As a disk without room."""
        if FullStore.is_full:
            raise StoreFull("no room")
        super().probe()


def until(true: Callable[[], bool]) -> None:
    """Waits."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at every few seconds is looked at all the time."""
    monkeypatch.setattr(vitals, "BEAT_S", 0.01)
    monkeypatch.setattr(commits, "PROBE_EVERY_S", 0.02)


@pytest.mark.usefixtures("eager")
def test_a_store_that_fails_is_told_until_it_is_mended(tmp_path: Path) -> None:
    """Although nobody delivers any more: a collector that is not ready gets no callers who could find out."""
    FullStore.is_full = True
    with running(tmp_path, open_store=FullStore) as collector, grpc.insecure_channel(collector.address) as channel:
        found = collector.vitals

        def status(service: str) -> int:
            return int(HealthStub(channel).Check(HealthCheckRequest(service=service)).status)

        with served(found.exposition, found.health()) as port:
            assert ask(port, "/readyz") == (200, "[+]loop ok\n[+]store ok\nok\n")
            until(lambda: status("bulkhead.v1.Ingest") == SERVING)
            with pytest.raises(grpc.RpcError) as refusal:
                converse(collector.address, HELLO, batch([entry(1)]))
            assert refusal.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert ask(port, "/readyz")[0] == 503
            assert ask(port, "/healthz")[0] == 200
            until(lambda: status("bulkhead.v1.Ingest") == NOT_SERVING)
            assert status("bulkhead.v1.Violations") == SERVING
            FullStore.is_full = False
            until(lambda: ask(port, "/readyz")[0] == 200)
            until(lambda: status("bulkhead.v1.Ingest") == SERVING == status(""))


def test_a_collector_that_does_not_serve_yet_is_not_ready() -> None:
    """It may be reading a large store."""
    found = vitals.Vitals()
    with served(found.exposition, found.health()) as port:
        assert ask(port, "/readyz")[0] == 503
        assert ask(port, "/healthz")[0] == 200


def test_metrics_are_those_of_the_catalog(tmp_path: Path) -> None:
    """All of them and no others, and they count."""
    with running(tmp_path) as collector:
        converse(collector.address, HELLO, batch([entry(1), entry(2)]))
        with pytest.raises(grpc.RpcError):
            converse(collector.address, b"nonsense")
        with subscribed(collector.address) as responses:
            next(responses)
            text = collector.vitals.exposition.text()[0].decode()
        with served(collector.vitals.exposition, collector.vitals.health()) as port:
            told = families(ask(port, "/metrics")[1])
        absent = {API_REQUESTS, *CERTIFICATE, CERTIFICATE_FAILURES}  # it has neither
        assert told == {metric.name for metric in PROGRAMS["collector"] if metric not in absent}
    found = values(text)
    assert found["bulkhead_collector_received_entries_total", ()] == 2
    assert found["bulkhead_collector_committed_entries_total", ()] == 2
    assert found["bulkhead_collector_commit_duration_seconds_count", ()] == 1
    assert found["bulkhead_collector_refused_streams_total", ()] == 1
    assert found["bulkhead_collector_refused_callers_total", ("token",)] == 0
    assert found["bulkhead_collector_agents", ()] == 0
    assert found["bulkhead_collector_subscribers", ()] == 1
    assert found["bulkhead_collector_store_files", ()] == 1
    assert found["bulkhead_collector_store_bytes", ()] > 0
