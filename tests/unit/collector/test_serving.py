"""The collector's certificate changes while it serves, and a certificate speaks for its own node only."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
import pytest

from bulkhead.certificates.authority import Authority, Leaf, Usage, issue, make_authority
from bulkhead.certificates.names import node_uri
from bulkhead.certificates.pair import facts, pem
from bulkhead.collector.roles import Roles, roles
from bulkhead.collector.serving import Serving
from bulkhead.errors import UsageError
from bulkhead.report.channel import Pems, TlsFiles, open_channel
from bulkhead.report.spool import Spool
from bulkhead.report.stream import METHOD, Stream
from bulkhead.v1.ingest_pb2 import AgentMessage, CollectorMessage
from bulkhead.v1.violations_pb2 import QueryRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.unit.collector.running import HELLO, IMPATIENT, Running, running
from tests.unit.monitoring.asking import values
from tests.unit.report.samples import NODE, entry

HOUR = timedelta(hours=1)
PATIENCE_S = 20.0


def authority() -> Authority:
    """A new one."""
    return make_authority(datetime.now(UTC), 24 * HOUR, "test")


@dataclass
class Files:
    """The collector's folder, as a volume of Kubernetes shows it: all of it changes at once."""

    folder: Path
    version: int = 0

    def write(self, signs: Authority, believed: bytes) -> TlsFiles:
        """A new certificate of that authority."""
        self.version += 1
        leaf = Leaf("bulkhead-collector", ("localhost", "127.0.0.1"), Usage.SERVER, HOUR)
        certificate, key = issue(signs, leaf, datetime.now(UTC))
        made = self.folder / f"version-{self.version}"
        made.mkdir()
        for name, content in {"tls.crt": certificate, "tls.key": key, "ca.crt": believed}.items():
            (made / name).write_bytes(content)
        fresh = self.folder / "fresh"
        fresh.symlink_to(made)
        fresh.rename(self.folder / "data")
        data = self.folder / "data"
        return TlsFiles(data / "ca.crt", data / "tls.crt", data / "tls.key")


@dataclass
class Shown:
    """A client's certificate, that tests change."""

    signs: Authority
    believed: bytes
    name: str = "bulkhead-agent"
    node: str = "node-1"
    lasts: timedelta = HOUR

    def read(self) -> Pems:
        """A new one each time."""
        names = (node_uri(self.node),) if self.node else (self.name,)
        certificate, key = issue(self.signs, Leaf(self.name, names, Usage.CLIENT, self.lasts), datetime.now(UTC))
        return Pems(self.believed, certificate, key)


def of_the_chart() -> Roles:
    """As the chart has it."""
    return roles(["bulkhead-agent"], ["bulkhead-client"], named_nodes=True)


@pytest.fixture
def one() -> Authority:
    """The authority at first."""
    return authority()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """An empty folder."""
    folder = tmp_path / "tls"
    folder.mkdir()
    return Files(folder)


def read_all(address: str, shown: Shown) -> int:
    """How many entries a reader sees. Raises grpc.RpcError where it may not."""
    with open_channel(address, shown) as channel:
        return len(ViolationsStub(channel).Query(QueryRequest(limit=1_000), timeout=PATIENCE_S).entries)


def test_a_stream_flows_on_while_everything_is_replaced(tmp_path: Path, files: Files, one: Authority) -> None:
    """The collector's certificate and its authority, step by step, under a stream that never ends; newcomers are let in
    by what they know at each step, and all entries arrive once."""
    two = authority()
    first, second = pem(one.certificate), pem(two.certificate)
    agent, reader = Shown(one, first), Shown(one, first, "bulkhead-client", "")
    with running(tmp_path / "store", tls=files.write(one, first), roles=of_the_chart()) as collector:
        spool = Spool(tmp_path / "spool", NODE)
        stream = Stream(spool, NODE.name, partial(open_channel, collector.address, agent), IMPATIENT)
        stream.start()
        sent = 0
        for signs, believed, knows in (
            (one, first, first),
            (one, first + second, first),
            (two, first + second, second),
        ):
            files.write(signs, believed)
            sent += 10
            spool.append([entry(number) for number in range(sent - 9, sent + 1)])
            assert stream.drain(PATIENCE_S)
            reader.believed = knows
            assert read_all(collector.address, reader) == sent
        assert stream.failures == 0
        files.write(two, second)
        reader.signs, reader.believed = two, second
        assert read_all(collector.address, reader) == sent
        stranger = Shown(one, second, "bulkhead-client", "")
        with pytest.raises(grpc.RpcError):
            read_all(collector.address, stranger)
        assert stream.connected
        stream.stop()
        spool.close()


@pytest.fixture
def collector(tmp_path: Path, files: Files, one: Authority) -> Iterator[Running]:
    """One whose agents must say of which node they are."""
    with running(tmp_path / "store", tls=files.write(one, pem(one.certificate)), roles=of_the_chart()) as made:
        yield made


def greeted(address: str, shown: Shown) -> tuple[grpc.StatusCode, str] | None:
    """How a Hello of node-1 ends; None where it is welcome."""
    with open_channel(address, shown) as channel:
        method = channel.stream_stream(METHOD, AgentMessage.SerializeToString, CollectorMessage.FromString)  # type: ignore[arg-type]
        try:
            assert next(method(iter([HELLO]))).HasField("welcome")
        except grpc.RpcError as error:
            return error.code(), error.details()  # type: ignore[attr-defined]
    return None


@pytest.mark.parametrize(("node", "reason"), [("node-2", "this is one of node-2"), ("", "this is one of no node")])
def test_a_node_cannot_speak_for_another(collector: Running, one: Authority, node: str, reason: str) -> None:
    """While its own agent is welcome; it is counted."""
    believed = pem(one.certificate)
    assert greeted(collector.address, Shown(one, believed)) is None
    code, text = greeted(collector.address, Shown(one, believed, node=node)) or (None, "")
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert text == f"to deliver violations of node node-1, show a certificate of that node; {reason}"
    told = values(collector.vitals.exposition.text()[0].decode())
    assert told["bulkhead_collector_refused_callers_total", ("node",)] == 1


@pytest.mark.parametrize(("node", "is_welcome"), [("", True), ("node-1", True), ("node-2", False)])
def test_a_node_in_a_certificate_counts_unasked(
    tmp_path: Path, files: Files, one: Authority, node: str, is_welcome: bool
) -> None:
    """Where certificates are somebody's own and need not name any."""
    believed = pem(one.certificate)
    with running(tmp_path / "store", tls=files.write(one, believed), roles=Roles()) as made:
        assert (greeted(made.address, Shown(one, believed, node=node)) is None) is is_welcome


def test_what_an_agent_of_another_authority_keeps_its_successor_delivers(
    tmp_path: Path, collector: Running, one: Authority
) -> None:
    """As in the upgrade from a chart that made certificates: nobody lets the old agent in, and nothing is lost."""
    before, spool = authority(), Spool(tmp_path / "spool", NODE)
    old, new = Shown(before, pem(before.certificate), node=""), Shown(one, pem(one.certificate))
    spool.append([entry(number) for number in range(1, 11)])
    stream = Stream(spool, NODE.name, partial(open_channel, collector.address, old), IMPATIENT)
    stream.start()
    deadline = time.monotonic() + PATIENCE_S
    while stream.failures < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stream.stop()
    reader = Shown(one, pem(one.certificate), "bulkhead-client", "")
    assert read_all(collector.address, reader) == 0
    stream = Stream(spool, NODE.name, partial(open_channel, collector.address, new), IMPATIENT)
    stream.start()
    assert stream.drain(PATIENCE_S)
    assert read_all(collector.address, reader) == 10
    stream.stop()
    spool.close()


def test_a_stream_ends_with_its_certificate(tmp_path: Path, collector: Running, one: Authority) -> None:
    """And begins anew with the next one; whatever comes meanwhile arrives."""
    shown = Shown(one, pem(one.certificate), lasts=timedelta(seconds=1))
    spool = Spool(tmp_path / "spool", NODE)
    stream = Stream(spool, NODE.name, partial(open_channel, collector.address, shown), IMPATIENT)
    stream.start()
    deadline = time.monotonic() + PATIENCE_S
    sent = 0
    while stream.failures < 2:
        assert time.monotonic() < deadline
        sent += 1
        spool.append([entry(sent)])
        time.sleep(0.05)
    shown.lasts = HOUR
    assert stream.drain(PATIENCE_S)
    reader = Shown(one, pem(one.certificate), "bulkhead-client", "")
    assert read_all(collector.address, reader) == sent
    stream.stop()
    spool.close()


def mismatched(tls: TlsFiles, one: Authority) -> None:
    """A key that is another's."""
    assert tls.key
    tls.key.write_bytes(issue(one, Leaf("x", ("x",), Usage.SERVER, HOUR), datetime.now(UTC))[1])


def empty(tls: TlsFiles, one: Authority) -> None:
    """Half written."""
    assert tls.certificate
    tls.certificate.write_bytes(b"")


def gone(tls: TlsFiles, one: Authority) -> None:
    """Not there."""
    assert tls.certificate
    tls.certificate.unlink()


@pytest.mark.parametrize("spoil", [mismatched, empty, gone])
def test_files_that_do_not_fit_are_not_taken_up(
    tmp_path: Path, files: Files, one: Authority, spoil: Callable[[TlsFiles, Authority], None]
) -> None:
    """The ones before go on, and what fits is taken up later."""
    believed = pem(one.certificate)
    tls = files.write(one, believed)
    reader = Shown(one, believed, "bulkhead-client", "")
    with running(tmp_path / "store", tls=tls, roles=of_the_chart()) as made:
        spoil(tls, one)
        assert read_all(made.address, reader) == 0
        files.write(one, believed)
        assert read_all(made.address, reader) == 0
    spoil(tls, one)
    with pytest.raises(UsageError):
        Serving(tls)


def test_when_its_certificate_ends_is_told(collector: Running, files: Files) -> None:
    """For an alert."""
    ends = facts((files.folder / "data/tls.crt").read_bytes()).ends.timestamp()
    told = values(collector.vitals.exposition.text()[0].decode())
    assert told["bulkhead_certificate_expiry_timestamp_seconds", ("collector",)] == ends
