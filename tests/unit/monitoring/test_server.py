"""Health and metrics over HTTP: the truth, to whoever asks, and to no caller so long that others go without."""

from __future__ import annotations

import socket

import pytest

from bulkhead.errors import UsageError
from bulkhead.monitoring import catalog
from bulkhead.monitoring.checks import WELL, Check, Health, Heartbeat
from bulkhead.monitoring.exposition import Exposition, Sample
from bulkhead.monitoring.server import CALLERS, MonitoringServer
from tests.unit.monitoring.asking import ask, served, values


def test_well_is_200_and_each_check_is_named() -> None:
    """What a kubelet and a person want to know."""
    health = Health(
        alive=(Check("loop", lambda: WELL),), ready=(Check("one", lambda: WELL), Check("two", lambda: WELL))
    )
    with served(Exposition("agent"), health) as port:
        assert ask(port, "/healthz") == (200, "[+]loop ok\nok\n")
        assert ask(port, "/readyz?verbose") == (200, "[+]one ok\n[+]two ok\nok\n")


def test_unwell_is_503_and_says_why_as_long_as_it_is() -> None:
    """Not ready is not the same as not alive; each look asks anew."""
    wrong = ["no room"]
    health = Health(alive=(Check("loop", lambda: WELL),), ready=(Check("one", lambda: "".join(wrong)),))
    with served(Exposition("agent"), health) as port:
        assert ask(port, "/readyz") == (503, "[-]one failed: no room\nfailed\n")
        assert ask(port, "/healthz")[0] == 200
        assert values(ask(port, "/metrics")[1])["bulkhead_ready", ("one",)] == 0
        wrong.clear()
        assert ask(port, "/readyz")[0] == 200
        assert values(ask(port, "/metrics")[1])["bulkhead_ready", ("one",)] == 1


def test_metrics_are_what_is_true_at_the_scrape() -> None:
    """Readers are asked each time; build and process come by themselves."""
    exposition = Exposition("agent")
    exposition.add(lambda: [Sample(catalog.SYNC_CHANGES, counted[0]), Sample(catalog.CONTAINERS, 2, ("failed",))])
    counted = [3]
    with served(exposition, Health()) as port:
        assert values(ask(port, "/metrics")[1])["bulkhead_sync_changes_total", ()] == 3
        counted[0] = 4
        found = values(ask(port, "/metrics")[1])
    assert found["bulkhead_sync_changes_total", ()] == 4
    assert found["bulkhead_containers", ("failed",)] == 2
    assert [value for (name, _), value in found.items() if name == "bulkhead_build_info"] == [1]
    assert ("process_resident_memory_bytes", ()) in found


def test_durations_become_a_histogram() -> None:
    """In seconds, under the catalog's name."""
    exposition = Exposition("agent")
    took = exposition.durations(catalog.SYNC_DURATION)
    took(0.003)
    took(40.0)
    found = values(exposition.text()[0].decode())
    assert found["bulkhead_sync_duration_seconds_count", ()] == 2
    assert found["bulkhead_sync_duration_seconds_bucket", ("0.005",)] == 1


def test_other_paths_are_not_found() -> None:
    """And the answer says which there are."""
    with served(Exposition("agent"), Health()) as port:
        assert ask(port, "/") == (404, "/healthz, /readyz, /metrics\n")


def test_callers_that_say_nothing_do_not_keep_others_out() -> None:
    """More of them than are served at once: a probe is answered."""
    with served(Exposition("agent"), Health(alive=(Check("loop", lambda: WELL),))) as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3 * CALLERS)]
        assert ask(port, "/healthz")[0] == 200
        assert silent[0].recv(1) == b""  # the oldest had to go
        for each in silent:
            each.close()


def test_a_check_that_fails_by_itself_is_no_ok(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets no answer, which a kubelet takes as a failure; the next caller is served."""
    health = Health(alive=(Check("loop", lambda: WELL),), ready=(Check("broken", lambda: str(1 // 0)),))
    with served(Exposition("agent"), health) as port:
        with pytest.raises(ConnectionError):
            ask(port, "/readyz")
        assert ask(port, "/healthz")[0] == 200


@pytest.mark.parametrize("address", ["7444", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "no such host:7444"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    """At the start, with what was given."""
    with pytest.raises(UsageError, match=address):
        MonitoringServer(address, Exposition("agent"), Health())


def test_a_loop_that_comes_round_is_well() -> None:
    """Before it begins, and until it stays away longer than it may."""
    now = [0.0]
    heart = Heartbeat(10.0, lambda: now[0])
    now[0] = 100.0
    assert heart.ask() == WELL
    heart.beat()
    now[0] = 110.0
    assert heart.ask() == WELL
    now[0] = 111.0
    assert heart.ask() == "did not come round for 11 s; it should within 10"
    heart.beat()
    assert heart.ask() == WELL
