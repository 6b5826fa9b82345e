"""A reader with a token sees what its rights are for, while it has them: over real TLS, with a reviewer of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from bulkhead.collector.roles import roles
from bulkhead.collector.server import TokenReaders
from bulkhead.errors import Unreachable, UsageError
from bulkhead.report.channel import Pems, TlsFiles, open_channel
from bulkhead.report.stream import METHOD
from bulkhead.settings import GrantLimits
from bulkhead.v1.ingest_pb2 import AgentMessage, CollectorMessage
from bulkhead.v1.violation_pb2 import Entry, Gap, GapReason, Verdict
from bulkhead.v1.violations_pb2 import Filter, QueryRequest, StoredEntry, SubscribeRequest, SubscribeResponse
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.unit.collector.certificates import Certificates, make_certificates
from tests.unit.collector.running import HELLO, Running, batch, running
from tests.unit.collector.test_vitals import until
from tests.unit.monitoring.asking import values
from tests.unit.report.samples import entry

IMPATIENT = GrantLimits(recheck_s=0.05, hold_s=2.0, retry_s=0.05, refused_s=0.05)
DENIED, NOBODY, AWAY = (
    grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE,
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A judgement."""

    user: str
    allowed: bool
    reason: str


@dataclass
class Cluster:
    """Rights by token: (verb, namespace), where an empty namespace is all of them. Away: it does not answer."""

    rights: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    is_away: bool = False

    def review(self, token: str, verb: str, namespace: str) -> Said:
        """As RBAC: who may everywhere may in each."""
        if self.is_away:
            raise Unreachable("API server https://10.0.0.1: Connection refused")
        if token not in self.rights:
            return Said("", False, "the token is not valid")
        allowed = bool({(verb, namespace), (verb, "")} & self.rights[token])
        return Said(token, allowed, f"{token} may not {verb} in {namespace or 'all namespaces'}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The client's certificate has the common name `client`."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@dataclass
class Bench:
    """A collector for readers with tokens, a cluster that says who they are."""

    collector: Running
    cluster: Cluster
    made: Certificates

    @contextmanager
    def stub(self, token: str) -> Iterator[ViolationsStub]:
        """What a reader calls that shows a token, and no certificate."""
        with open_channel(self.collector.token_address, Bearer(self.made, token)) as channel:
            yield ViolationsStub(channel)

    def page(self, token: str, **wanted: object) -> list[StoredEntry]:
        """One page of history."""
        with self.stub(token) as stub:
            request = QueryRequest(filter=Filter(**wanted))  # type: ignore[arg-type]
            return list(stub.Query(request, timeout=20).entries)

    def deliver(self, *entries: Entry, first: int = 1) -> None:
        """As an agent does."""
        files = (self.made.authority, self.made.client_certificate, self.made.client_key)
        with open_channel(self.collector.address, TlsFiles(*files)) as channel:
            method = channel.stream_stream(
                METHOD, AgentMessage.SerializeToString, CollectorMessage.FromString  # type: ignore[arg-type]
            )  # fmt: skip
            assert list(method(iter([HELLO, batch(list(entries), first)])))

    def refusals(self, reason: str) -> float:
        """How many are counted."""
        text = self.collector.vitals.exposition.text()[0].decode()
        return values(text)["bulkhead_collector_refused_callers_total", (reason,)]


@dataclass(frozen=True)
class Bearer:
    """The authority and a token."""

    made: Certificates
    token: str

    def read(self) -> Pems:
        """Both."""
        return Pems(self.made.authority.read_bytes(), token=self.token)


@pytest.fixture
def bench(tmp_path: Path, made: Certificates) -> Iterator[Bench]:
    """With violations in two namespaces and on the host, and gaps."""
    cluster = Cluster(
        {"tenant": {("list", "shop"), ("watch", "shop")}, "auditor": {("list", ""), ("watch", "")}, "stranger": set()}
    )
    tls = TlsFiles(made.authority, made.server_certificate, made.server_key)
    tokens = TokenReaders("127.0.0.1:0", cluster, IMPATIENT)
    with running(tmp_path, tls=tls, roles=roles(["client"], ["reader"]), tokens=tokens) as collector:
        bench = Bench(collector, cluster, made)
        bench.deliver(*examples())
        yield bench


def examples() -> list[Entry]:
    """1 of shop, 2 of bank, 3 of the host; gaps: 4 of shop, 5 of bank, 6 of bank's policy, 7 of nobody knows whom."""
    return [
        *(violation(number, namespace) for number, namespace in ((1, "shop"), (2, "bank"), (3, ""))),
        Entry(gap=Gap(count=4, namespace="shop", pod="web-0", reason=GapReason.GAP_REASON_KERNEL_FULL)),
        Entry(gap=Gap(count=5, namespace="bank", pod="till-0", reason=GapReason.GAP_REASON_KERNEL_FULL)),
        Entry(gap=Gap(count=6, policy="vault", policy_namespace="bank", reason=GapReason.GAP_REASON_KERNEL_FULL)),
        Entry(
            gap=Gap(
                count=7, policy="wide", rule="/wide/files/1", cgroup="/kubepods/till", detail="till-0's segment",
                node="node-1", verdict=Verdict.VERDICT_DENIED, reason=GapReason.GAP_REASON_SPOOL_FULL,
            )
        ),
    ]  # fmt: skip


def violation(number: int, namespace: str) -> Entry:
    """Of a namespace, or of the host."""
    made = entry(number)
    made.violation.namespace = namespace
    return made


def numbers(entries: list[StoredEntry]) -> list[int]:
    """Which of the examples."""
    return [each.entry.sequence for each in entries]


def refused(call: grpc.Call) -> tuple[grpc.StatusCode, str]:
    """How a call ended."""
    return call.code(), call.details() or ""


def test_each_sees_what_its_rights_are_for(bench: Bench) -> None:
    """A tenant its namespace, an auditor everything, also namespace by namespace; the host's only who sees all."""
    assert numbers(bench.page("tenant", namespace="shop")) == [1, 4, 7]
    assert numbers(bench.page("auditor")) == [1, 2, 3, 4, 5, 6, 7]
    assert numbers(bench.page("auditor", namespace="bank")) == [2, 5, 6, 7]
    with bench.stub("tenant") as stub:
        assert numbers(history(stub.Subscribe(SubscribeRequest(filter=Filter(namespace="shop"))))) == [1, 4, 7]


def history(responses: Iterator[SubscribeResponse]) -> list[StoredEntry]:
    """What there is when a subscription begins."""
    found: list[StoredEntry] = []
    for response in responses:
        if response.HasField("caught_up"):
            return found
        found += response.entries.entries
    raise AssertionError("the stream ended")


def test_a_gap_tells_a_tenant_nothing_of_others(bench: Bench) -> None:
    """That something may be missing, when and why; neither how much, nor whose, nor by asking for what it could be."""
    _, own, unknown = bench.page("tenant", namespace="shop")
    assert (own.entry.gap.count, own.entry.gap.pod) == (4, "web-0")
    gap = unknown.entry.gap
    assert gap == Gap(
        node="node-1", reason=GapReason.GAP_REASON_SPOOL_FULL, detail=gap.detail, first_time=gap.first_time,
        last_time=gap.last_time,
    )  # fmt: skip
    assert "is not known" in gap.detail
    whole = bench.page("auditor")[-1].entry.gap
    assert (whole.count, whole.policy, whole.detail) == (7, "wide", "till-0's segment")
    for policy in ("wide", "other"):
        assert 7 in numbers(bench.page("tenant", namespace="shop", policy=policy, verdicts=[]))


@pytest.mark.parametrize(
    ("token", "wanted", "status", "words"),
    [
        ("tenant", {}, DENIED, "tenant may not list in all namespaces"),
        ("tenant", {"namespace": "bank"}, DENIED, "tenant may not list in bank"),
        ("tenant", {"pod": "web-0"}, DENIED, "tenant may not list in all namespaces"),
        ("stranger", {"namespace": "shop"}, DENIED, "stranger may not list in shop"),
        ("invented", {"namespace": "shop"}, NOBODY, "the token is not valid"),
        ("", {"namespace": "shop"}, NOBODY, "authorization: Bearer"),
        ("auditor", {"namespace": "Shop"}, grpc.StatusCode.INVALID_ARGUMENT, "namespace"),
        ("auditor", {"namespace": "*"}, grpc.StatusCode.INVALID_ARGUMENT, "namespace"),
    ],
)
def test_whoever_has_not_the_right_is_told_which(
    bench: Bench, token: str, wanted: dict[str, str], status: grpc.StatusCode, words: str
) -> None:
    """And gets nothing."""
    with pytest.raises(grpc.RpcError) as caught:
        bench.page(token, **wanted)
    assert isinstance(caught.value, grpc.Call)
    found, text = refused(caught.value)
    assert (found, words in text) == (status, True)
    assert numbers(bench.page("auditor", namespace="shop")) == [1, 4, 7]


def test_list_and_watch_are_two_rights(bench: Bench) -> None:
    """A page needs the one, a subscription the other."""
    bench.cluster.rights |= {"lister": {("list", "")}, "watcher": {("watch", "")}}
    assert len(bench.page("lister")) == 7
    with bench.stub("watcher") as stub:
        assert len(history(stub.Subscribe(SubscribeRequest()))) == 7
    for token, call in (
        ("watcher", lambda stub: stub.Query(QueryRequest())),
        ("lister", lambda stub: next(stub.Subscribe(SubscribeRequest()))),
    ):
        with bench.stub(token) as stub, pytest.raises(grpc.RpcError) as caught:
            call(stub)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is DENIED


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"tenant": set()}, DENIED, "tenant may not watch in shop"),
        ({}, NOBODY, "the token is not valid"),
    ],
)
def test_a_right_that_is_taken_away_ends_the_stream(
    bench: Bench, change: dict[str, set[tuple[str, str]]], status: grpc.StatusCode, words: str
) -> None:
    """The token likewise; what happens afterwards is not sent, and another's stream goes on."""
    with bench.stub("tenant") as stub, bench.stub("auditor") as other:
        stream = stub.Subscribe(SubscribeRequest(filter=Filter(namespace="shop")))
        neighbour = other.Subscribe(SubscribeRequest())
        assert (numbers(history(stream)), len(history(neighbour))) == ([1, 4, 7], 7)
        bench.cluster.rights = {"auditor": bench.cluster.rights["auditor"], **change}
        with pytest.raises(grpc.RpcError):
            history(each for each in stream if each.HasField("entries"))
        assert (stream.code(), words in stream.details()) == (status, True)
        bench.deliver(violation(8, "shop"), first=8)
        assert numbers(list(next(each for each in neighbour if each.HasField("entries")).entries.entries)) == [8]
    assert bench.refusals("right" if status is DENIED else "token") == 1


def test_an_api_server_that_is_away_ends_streams_when_their_time_is_over(bench: Bench) -> None:
    """Until then they go on; newcomers are told to come again; when it is back, so are they."""
    with bench.stub("tenant") as stub:
        stream = stub.Subscribe(SubscribeRequest(filter=Filter(namespace="shop")))
        history(stream)
        bench.cluster.is_away = True
        bench.deliver(violation(8, "shop"), first=8)
        assert numbers(list(next(each for each in stream if each.HasField("entries")).entries.entries)) == [8]
        with pytest.raises(grpc.RpcError):
            list(stream)
        code, text = stream.code(), stream.details()
        assert (code, "API server" in text, "10.0.0.1" in text) == (AWAY, True, False)
    with pytest.raises(grpc.RpcError) as caught:
        bench.page("auditor")
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is AWAY
    assert bench.refusals("unreachable") == 2
    bench.cluster.is_away = False
    until(lambda: is_let_in(bench))
    assert numbers(bench.page("tenant", namespace="shop")) == [1, 4, 7, 8]


def is_let_in(bench: Bench) -> bool:
    """Whether the tenant is."""
    try:
        return bool(bench.page("tenant", namespace="shop"))
    except grpc.RpcError:
        return False


def test_nothing_is_delivered_by_a_token_and_no_certificate_is_asked_for(bench: Bench) -> None:
    """The port for tokens has no Ingest; health is told there, too."""
    with open_channel(bench.collector.token_address, Bearer(bench.made, "auditor")) as channel:
        method = channel.stream_stream(METHOD, AgentMessage.SerializeToString, CollectorMessage.FromString)  # type: ignore[arg-type]
        with pytest.raises(grpc.RpcError) as caught:
            list(method(iter([HELLO, batch([entry(9)], 9)])))
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert HealthStub(channel).Check(HealthCheckRequest(service="bulkhead.v1.Violations")).status == 1
    assert len(bench.page("auditor")) == 7


def test_a_token_is_of_no_account_where_certificates_are(bench: Bench) -> None:
    """An agent that shows an auditor's token reads nothing there; without a certificate nobody is heard at all."""
    made = bench.made

    def outcome(pems: Pems) -> grpc.StatusCode:
        class Given:
            def read(self) -> Pems:
                return pems

        with open_channel(bench.collector.address, Given()) as channel, pytest.raises(grpc.RpcError) as caught:
            ViolationsStub(channel).Query(QueryRequest(), timeout=20)
        assert isinstance(caught.value, grpc.Call)
        return caught.value.code()

    certificate, key = made.client_certificate.read_bytes(), made.client_key.read_bytes()
    assert outcome(Pems(made.authority.read_bytes(), certificate, key, token="auditor")) is DENIED
    assert outcome(Pems(made.authority.read_bytes(), token="auditor")) is AWAY
    assert bench.refusals("certificate") == 1


@pytest.mark.parametrize(
    "metadata",
    [
        [("authorization", "Basic YTpi")],
        [("authorization", "Bearer ")],
        [("authorization", "Bearer two words")],
        [("authorization", "Bearer auditor"), ("authorization", "Bearer tenant")],
        [("authorization-bin", b"Bearer auditor")],
    ],
)
def test_what_is_no_token_is_not_asked_about(bench: Bench, metadata: list[tuple[str, str]]) -> None:
    """Two tokens are none: nobody is to wonder whose counted."""
    bench.cluster.is_away = True
    with (
        open_channel(bench.collector.token_address, TlsFiles(bench.made.authority)) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ViolationsStub(channel).Query(QueryRequest(), metadata=metadata)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is NOBODY


def test_a_long_token_is_taken(bench: Bench) -> None:
    """As of somebody in hundreds of groups; what no token has is refused before it is looked at."""
    long = "x" * 12_000
    bench.cluster.rights[long] = {("list", "")}
    assert len(bench.page(long)) == 7
    with pytest.raises(grpc.RpcError) as caught:
        bench.page("x" * 40_000)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert bench.refusals("token") == 0


def test_tokens_need_tls(tmp_path: Path) -> None:
    """Who sends one must know to whom: the collector does not start, and a client sends none in the open."""
    with pytest.raises(UsageError, match="certificate and a key"):
        Running(tmp_path, tokens=TokenReaders("127.0.0.1:0", Cluster()))


def test_a_port_that_is_taken_is_said(tmp_path: Path, bench: Bench) -> None:
    """With its address; the store is given back."""
    tls = TlsFiles(None, bench.made.server_certificate, bench.made.server_key)
    with pytest.raises(UsageError, match=bench.collector.token_address):
        Running(tmp_path / "other", tls=tls, tokens=TokenReaders(bench.collector.token_address, Cluster()))
    with running(tmp_path / "other"):
        pass
