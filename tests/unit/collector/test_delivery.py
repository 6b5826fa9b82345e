"""From a spool to a store over real gRPC: everything arrives once, whatever breaks in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest

from bulkhead.collector.arrival import Arrival
from bulkhead.collector.store import Store, StoreFailed
from bulkhead.errors import UsageError
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from tests.unit.collector.certificates import Certificates, make_certificates
from tests.unit.collector.running import IMPATIENT, Running, read_history, running, stored_pids
from tests.unit.report.samples import NODE, entry

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One authority for all tests."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@contextmanager
def streaming(directory: Path, connect: Callable[[], grpc.Channel]) -> Iterator[tuple[Spool, Stream]]:
    """An agent's spool with a stream to wherever `connect` leads."""
    spool = Spool(directory, NODE)
    stream = Stream(spool, "node-1", connect, IMPATIENT)
    stream.start()
    try:
        yield spool, stream
    finally:
        stream.stop()
        spool.close()


@contextmanager
def delivering(directory: Path, address: str, tls: TlsFiles | None = None) -> Iterator[Spool]:
    """A spool whose entries are all acknowledged when the block has ended."""
    with streaming(directory, partial(open_channel, address, tls)) as (spool, stream):
        yield spool
        assert stream.drain(PATIENCE_S)


def test_everything_arrives_in_order(tmp_path: Path) -> None:
    """What was in the spool before, and what comes while the stream runs; acknowledged means deleted."""
    with running(tmp_path / "store") as collector:
        before = Spool(tmp_path / "spool", NODE)
        before.append([entry(number) for number in range(1, 1_201)])
        before.close()
        with delivering(tmp_path / "spool", collector.address) as spool:
            spool.append([entry(number) for number in range(1_201, 1_301)])
        assert stored_pids(read_history(collector.address)) == list(range(1, 1_301))
        assert spool.status().acknowledged == 1_300


def test_a_restarted_agent_goes_on(tmp_path: Path) -> None:
    """Also when it died before it heard that everything was acknowledged: nothing comes twice."""
    with running(tmp_path / "store") as collector:
        for start in (1, 11, 21):
            with delivering(tmp_path / "spool", collector.address) as spool:
                spool.append([entry(number) for number in range(start, start + 10)])
        assert stored_pids(read_history(collector.address)) == list(range(1, 31))


def test_a_restarted_collector_goes_on(tmp_path: Path) -> None:
    """On another port even; entries that came meanwhile wait in the spool."""
    addresses = ["127.0.0.1:1"]
    with streaming(tmp_path / "spool", lambda: open_channel(addresses[0], None)) as (spool, stream):
        for first in (1, 3, 5):
            spool.append([entry(first), entry(first + 1)])
            with running(tmp_path / "store") as collector:
                addresses[0] = collector.address
                assert stream.drain(PATIENCE_S)
                found = stored_pids(read_history(collector.address))
    assert found == [1, 2, 3, 4, 5, 6]


class DyingStore(Store):
    """Commits, and then fails as if the collector had been killed before it could acknowledge."""

    deaths = 0

    def commit(self, arrivals: Sequence[Arrival]) -> None:
        """Every other commit is not heard of."""
        super().commit(arrivals)
        DyingStore.deaths += 1
        if DyingStore.deaths % 2:
            raise StoreFailed("killed between commit and acknowledgement")


def test_what_was_committed_but_not_acknowledged_is_kept_once(tmp_path: Path) -> None:
    """The agent sends it again or learns from the Welcome that it need not; the reader sees it once."""
    with running(tmp_path / "store", open_store=DyingStore) as collector:
        with delivering(tmp_path / "spool", collector.address) as spool:
            for start in range(1, 60, 10):
                spool.append([entry(number) for number in range(start, start + 10)])
        assert DyingStore.deaths >= 1  # entries that came together are one commit, and the first always dies
        assert stored_pids(read_history(collector.address)) == list(range(1, 61))


def test_a_spool_that_was_lost_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    """New entries have old numbers, under another boot id: all arrive."""
    with running(tmp_path / "store") as collector:
        for name in ("one", "two"):
            with delivering(tmp_path / name, collector.address) as spool:
                spool.append([entry(1), entry(2)])
        assert stored_pids(read_history(collector.address)) == [1, 2, 1, 2]


def test_a_spool_that_lost_its_end_is_noticed(tmp_path: Path) -> None:
    """Cut at the end of a frame, nothing in the spool shows it; the collector's Welcome does."""
    with running(tmp_path / "store") as collector:
        with delivering(tmp_path / "spool", collector.address) as spool:
            spool.append([entry(1)])
            whole = next((tmp_path / "spool").glob("*.segment")).read_bytes()
            spool.append([entry(2)])
        next((tmp_path / "spool").glob("*.segment")).write_bytes(whole)
        with delivering(tmp_path / "spool", collector.address) as spool:
            spool.append([entry(3)])
        found = stored_pids(read_history(collector.address))
        assert found[:2] == [1, 2]
        assert 3 in found


def test_tls_with_client_certificates(tmp_path: Path, certificates: Certificates) -> None:
    """Both sides prove who they are, and everything arrives."""
    server = TlsFiles(certificates.authority, certificates.server_certificate, certificates.server_key)
    client = TlsFiles(certificates.authority, certificates.client_certificate, certificates.client_key)
    with running(tmp_path / "store", tls=server) as collector:
        with delivering(tmp_path / "spool", collector.address, client) as spool:
            spool.append([entry(1)])
        assert collector.store.durable_of("node-1") == [1]


def test_without_a_client_certificate_nothing_is_taken(tmp_path: Path, certificates: Certificates) -> None:
    """Nor over plain text; the spool keeps it, and renewed files are taken up at the next attempt."""
    server = TlsFiles(certificates.authority, certificates.server_certificate, certificates.server_key)
    good = TlsFiles(certificates.authority, certificates.client_certificate, certificates.client_key)
    attempts = [None, None, TlsFiles(certificates.authority), TlsFiles(certificates.authority), good]
    with running(tmp_path / "store", tls=server) as collector:

        def connect() -> grpc.Channel:
            assert collector.store.durable_of("node-1") == []
            return open_channel(collector.address, attempts.pop(0))

        with streaming(tmp_path / "spool", connect) as (spool, stream):
            spool.append([entry(1)])
            assert stream.drain(PATIENCE_S)
    assert attempts == []


def test_files_that_do_not_do_are_named(tmp_path: Path, certificates: Certificates) -> None:
    """A certificate without a key, an authority without a certificate, a file that is not there."""
    with pytest.raises(UsageError, match="go together"):
        open_channel("127.0.0.1:1", TlsFiles(None, certificates.client_certificate, None))
    with pytest.raises(UsageError, match=r"missing\.pem"):
        open_channel("127.0.0.1:1", TlsFiles(tmp_path / "missing.pem"))
    with pytest.raises(UsageError, match="client certificates need TLS"):
        Running(tmp_path / "store", tls=TlsFiles(certificates.authority))


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """And the store is given back."""
    with running(tmp_path / "one") as collector:
        with pytest.raises(UsageError, match="cannot listen"):
            Running(tmp_path / "two", collector.address)
        partial(Store, tmp_path / "two")().close()
