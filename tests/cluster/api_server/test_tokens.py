"""Readers with real tokens of a real API server, at a real collector with the rights that the chart gives it.

Tokens are made by TokenRequest, as pods get them. The roles are the chart's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from bulkhead.cli import collector as collector_command
from bulkhead.collector.server import TokenReaders
from bulkhead.kube.client import Api, connect
from bulkhead.kube.errors import Forbidden
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import collection_path
from bulkhead.report.channel import Pems, TlsFiles, open_channel
from bulkhead.settings import GrantLimits
from bulkhead.v1.violations_pb2 import Filter, QueryRequest, SubscribeRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.cluster.api_server.relay import relay_to
from tests.cluster.api_server.test_admission import PLACES, RBAC, ensure_namespace
from tests.cluster.chart.objects import NAMESPACE, Render
from tests.cluster.waiting import await_true
from tests.unit.collector.certificates import Certificates, make_certificates
from tests.unit.collector.running import HELLO, Running, batch, converse
from tests.unit.report.samples import entry
from tools.cluster import credentials
from tools.cluster.addresses import API_SERVER_PORT
from tools.cluster.credentials import Credentials, Identity

OURS, THE_API_SERVERS, ANOTHERS = "bulkhead-collector", "", "vault"
DENIED, NOBODY = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED
VIEWER = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bulkhead-violations-viewer"}
AWAY = grpc.StatusCode.UNAVAILABLE
QUICK = GrantLimits(recheck_s=0.2, hold_s=5.0, refused_s=0.2, retry_s=0.2)
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def accounts(api: Api, render: Render) -> None:
    """The chart's rights, and of one namespace's accounts one with rights there, one everywhere, one without."""
    ensure_namespace(api)
    for (kind, name), found in render({"collector": {"tokens": {"enabled": True}}}).items():
        if kind in PLACES and name.startswith(("bulkhead-collector", "bulkhead-violations")):
            api.post(PLACES[kind], found)
    for namespace in ("shop", "bank"):
        api.post(collection_path("Namespace"), {"metadata": {"name": namespace}})
    for name in ("tenant", "auditor", "stranger"):
        api.post("/api/v1/namespaces/shop/serviceaccounts", {"metadata": {"name": name}})
    bind_tenant(api)
    subject = {"kind": "ServiceAccount", "name": "auditor", "namespace": "shop"}
    body = {"metadata": {"name": "auditor"}, "roleRef": VIEWER, "subjects": [subject]}
    api.post(f"{RBAC}/clusterrolebindings", body)


def bind_tenant(api: Api) -> None:
    """Gives it the right, in its namespace."""
    subject = {"kind": "ServiceAccount", "name": "tenant", "namespace": "shop"}
    body = {"metadata": {"name": "tenant"}, "roleRef": VIEWER, "subjects": [subject]}
    api.post(f"{RBAC}/namespaces/shop/rolebindings", body)


@pytest.fixture(scope="module")
def token(api: Api, accounts: None) -> Callable[..., str]:
    """A token of an account for an audience; the API server's own where none is named."""

    def made(account: str, audience: str = OURS, namespace: str = "shop") -> str:
        spec = {"expirationSeconds": 3_600, **({"audiences": [audience]} if audience else {})}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return str(api.post(path, asked)["status"]["token"])

    return made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The collector's."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def serve(
    token: Callable[..., str],
    identities: Credentials,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., object]:
    """A collector that asks the API server as the chart's account: violation 1 is of shop, 2 of bank, 3 of the host."""
    folder = tmp_path_factory.mktemp("collector")
    account = Identity("collector", "collector")
    text = credentials.kubeconfig(
        account, token("bulkhead-collector", THE_API_SERVERS, NAMESPACE), identities.authority.read_bytes()
    )
    fill = Running(folder / "store")
    entries = [entry(number) for number in (1, 2, 3)]
    for each, namespace in zip(entries, ("shop", "bank", ""), strict=True):
        each.violation.namespace = namespace
    converse(fill.address, HELLO, batch(entries))
    fill.stop()

    @contextmanager
    def serving(*options: str, port: int = API_SERVER_PORT) -> Iterator[str]:
        (folder / "kubeconfig").write_text(text.replace(f":{API_SERVER_PORT}", f":{port}"))
        parser = argparse.ArgumentParser()
        collector_command.add_parser(parser.add_subparsers())
        words = ["--token-listen", "127.0.0.1:0", "--kubeconfig", str(folder / "kubeconfig"), *options]
        readers = collector_command.token_readers(parser.parse_args(["collector", *words]))
        assert readers is not None
        tls = TlsFiles(certificates.authority, certificates.server_certificate, certificates.server_key)
        running = Running(folder / "store", tls=tls, tokens=TokenReaders(readers.listen, readers.reviewer, QUICK))
        try:
            yield running.token_address
        finally:
            running.stop()

    return serving


@pytest.fixture
def collector(serve: Callable[..., object]) -> Iterator[str]:
    """Its address for tokens."""
    with serve() as address:  # type: ignore[attr-defined]
        yield address


@pytest.fixture
def seen(certificates: Certificates) -> Callable[..., list[int] | tuple[grpc.StatusCode, str]]:
    """The numbers of the violations that a token shows, or how the call was refused."""

    def ask(address: str, bearer: str, namespace: str = "") -> list[int] | tuple[grpc.StatusCode, str]:
        with open_channel(address, Given(certificates, bearer)) as channel:
            try:
                request = QueryRequest(filter=Filter(namespace=namespace))
                page = ViolationsStub(channel).Query(request, timeout=TIMEOUT_S)
            except grpc.RpcError as error:
                return error.code(), error.details()  # type: ignore[attr-defined]
            return [each.entry.sequence for each in page.entries]

    return ask


class Given:
    """A token, and the authority."""

    def __init__(self, certificates: Certificates, token: str) -> None:
        self._pems = Pems(certificates.authority.read_bytes(), token=token)

    def read(self) -> Pems:
        """Both."""
        return self._pems


@pytest.mark.parametrize("audience", [OURS, THE_API_SERVERS])
def test_each_account_sees_what_it_may(
    audience: str, collector: str, token: Callable[..., str], seen: Callable[..., object]
) -> None:
    """By a token for us or for the API server: one namespace, everything, nothing; the missing right is named."""
    tenant, auditor, stranger = (token(name, audience) for name in ("tenant", "auditor", "stranger"))
    assert seen(collector, tenant, "shop") == [1]
    assert seen(collector, auditor) == [1, 2, 3]
    assert seen(collector, auditor, "bank") == [2]
    what = "may not list violations.bulkhead.dev in"
    for bearer, namespace, who, where in (
        (tenant, "", "tenant", "all namespaces"),
        (tenant, "bank", "tenant", "namespace bank"),
        (stranger, "shop", "stranger", "namespace shop"),
        (stranger, "", "stranger", "all namespaces"),
    ):
        status, text = seen(collector, bearer, namespace)  # type: ignore[misc]
        assert (status, text.startswith(f"user system:serviceaccount:shop:{who} {what} {where}")) == (
            DENIED,
            True,
        )


def test_people_are_known_by_whatever_the_api_server_knows_them_by(
    collector: str, identities: Credentials, seen: Callable[..., object]
) -> None:
    """Here by a file of tokens, which knows no audiences; groups count."""
    assert seen(collector, identities.token("admin")) == [1, 2, 3]
    status, text = seen(collector, identities.token("dns"), "shop")  # type: ignore[misc]
    assert (status, text.startswith("user bench:dns may not list")) == (DENIED, True)


def test_tokens_for_others_are_nobodys(
    serve: Callable[..., object], token: Callable[..., str], seen: Callable[..., object]
) -> None:
    """For another audience, invented, cut; and for the API server where only those for us are taken."""
    good = token("auditor")
    with serve() as collector:  # type: ignore[attr-defined]
        for bearer in (token("auditor", ANOTHERS), "invented", good[:-8], ""):
            assert seen(collector, bearer)[0] is NOBODY  # type: ignore[index]
    with serve("--no-api-server-tokens") as strict:  # type: ignore[attr-defined]
        assert seen(strict, token("auditor", THE_API_SERVERS))[0] is NOBODY  # type: ignore[index]
        assert seen(strict, good) == [1, 2, 3]
    with serve("--token-audience", ANOTHERS, "--no-api-server-tokens") as other:  # type: ignore[attr-defined]
        assert seen(other, token("auditor", ANOTHERS)) == [1, 2, 3]
        assert seen(other, good)[0] is NOBODY  # type: ignore[index]


def test_a_binding_that_is_deleted_ends_the_stream(
    api: Api, collector: str, token: Callable[..., str], certificates: Certificates, seen: Callable[..., object]
) -> None:
    """While the auditor's goes on; and so does an account that is deleted."""
    with (
        open_channel(collector, Given(certificates, token("tenant"))) as tenant,
        open_channel(collector, Given(certificates, token("auditor"))) as auditor,
    ):
        request = SubscribeRequest(filter=Filter(namespace="shop"))
        stream = ViolationsStub(tenant).Subscribe(request, timeout=TIMEOUT_S)
        neighbour = ViolationsStub(auditor).Subscribe(SubscribeRequest(), timeout=TIMEOUT_S)
        assert [each.entry.sequence for each in next(stream).entries.entries] == [1]
        assert [each.entry.sequence for each in next(neighbour).entries.entries] == [1, 2, 3]
        api.delete(f"{RBAC}/namespaces/shop/rolebindings/tenant")
        with pytest.raises(grpc.RpcError):
            list(stream)
        assert stream.code() is DENIED
        assert "tenant may not watch violations.bulkhead.dev in namespace shop" in stream.details()
        assert next(neighbour).HasField("caught_up")
        bind_tenant(api)
        api.delete("/api/v1/namespaces/shop/serviceaccounts/auditor")
        with pytest.raises(grpc.RpcError):
            list(neighbour)
        assert neighbour.code() is NOBODY
    assert seen(collector, token("tenant"), "shop") == [1]


def test_streams_end_in_their_time_when_the_api_server_is_away(
    serve: Callable[..., object], token: Callable[..., str], certificates: Certificates, seen: Callable[..., object]
) -> None:
    """A moment's absence ends none; whoever comes meanwhile is refused, and let in when it is back."""
    tenant = token("tenant")
    request = SubscribeRequest(filter=Filter(namespace="shop"))
    with (
        relay_to(API_SERVER_PORT) as relay,
        serve(port=relay.port) as address,  # type: ignore[attr-defined]
        open_channel(address, Given(certificates, tenant)) as channel,
    ):
        stream = ViolationsStub(channel).Subscribe(request, timeout=TIMEOUT_S)
        assert [each.entry.sequence for each in next(stream).entries.entries] == [1]
        relay.cut()
        assert [next(stream).HasField("caught_up") for _ in range(10)] == [True] * 10
        relay.mend()
        await_true(lambda: seen(address, tenant, "shop") == [1], "a newcomer is not let in")
        assert [next(stream).HasField("caught_up") for _ in range(10)] == [True] * 10
        relay.cut()
        with pytest.raises(grpc.RpcError):
            list(stream)
        assert (stream.code(), "API server" in stream.details()) == (AWAY, True)
        assert seen(address, token("tenant"), "shop")[0] is AWAY  # type: ignore[index]
        relay.mend()
        await_true(lambda: seen(address, tenant, "shop") == [1], "nobody is let in when it is back")


def test_the_collector_may_do_nothing_else(identities: Credentials, token: Callable[..., str], tmp_path: Path) -> None:
    """Not even what its readers may."""
    text = credentials.kubeconfig(
        Identity("c", "c"), token("bulkhead-collector", THE_API_SERVERS, NAMESPACE), identities.authority.read_bytes()
    )
    (tmp_path / "kubeconfig").write_text(text)
    own = connect(Choice(tmp_path / "kubeconfig"))
    for kind in ("Secret", "ConfigMap", "Pod", "SecurityPolicy", "NodeState", "Namespace"):
        with pytest.raises(Forbidden):
            own.get(collection_path(kind, NAMESPACE))
