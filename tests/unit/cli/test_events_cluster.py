"""`bulkhead events` in a cluster: by way of the API server, with the certificate that the chart made, or a token."""

from __future__ import annotations

import argparse
import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from bulkhead.cli import events, events_collector
from bulkhead.collector.server import TokenReaders
from bulkhead.errors import Unreachable, UsageError
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.stream import METHOD
from bulkhead.report.subscription import Subscription
from bulkhead.settings import GrantLimits
from bulkhead.v1.violation_pb2 import Entry
from bulkhead.v1.violations_pb2 import Filter
from tests.unit.collector.certificates import Certificates, _new_key, _openssl, make_certificates
from tests.unit.collector.running import HELLO, Running, batch, converse
from tests.unit.kube.api_server import Answer, Handler, Server, answered, api_server, kubeconfig, refused
from tests.unit.kube.test_portforward import frame, pod, pods, read_frame, tunnelled
from tests.unit.report.samples import entry

COLLECTOR = pod("bulkhead-collector-0")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """As the chart makes them: the server's is for the name of its Service, not for an address."""
    folder = tmp_path_factory.mktemp("certificates")
    made = make_certificates(folder)
    _openssl(
        "req", "-x509", *_new_key(made.server_key), "-out", made.server_certificate, "-subj", "/CN=collector",
        "-CA", made.authority, "-CAkey", folder / "ca.key", "-addext", "subjectAltName=DNS:bulkhead-collector",
        "-addext", "basicConstraints=critical,CA:FALSE", "-days", "2",
    )  # fmt: skip
    return made


class Said(NamedTuple):
    """A judgement."""

    user: str
    allowed: bool
    reason: str


class Tenants:
    """Whoever shows one of `valid` may see namespace shop."""

    def __init__(self) -> None:
        self.valid = {"shop-token"}

    def review(self, token: str, verb: str, namespace: str) -> Said:
        """And nobody anything else."""
        who = "tenant" if token in self.valid else ""
        return Said(who, bool(who) and namespace == "shop", f"{who or 'nobody'} may not {verb}")


@pytest.fixture
def tenants() -> Tenants:
    """Who they are."""
    return Tenants()


@pytest.fixture
def collector(tmp_path: Path, certificates: Certificates, tenants: Tenants) -> Iterator[Running]:
    """A collector that wants a certificate of its clients, or a token, with two violations."""
    fill = Running(tmp_path / "store")
    converse(fill.address, HELLO, batch([violation(1, "shop"), violation(2, "bank")]))
    fill.stop()
    tls = TlsFiles(certificates.authority, certificates.server_certificate, certificates.server_key)
    running = Running(
        tmp_path / "store", tls=tls, tokens=TokenReaders("127.0.0.1:0", tenants, GrantLimits(recheck_s=0.05))
    )
    yield running
    running.stop()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An API server that the surroundings' kubeconfig names."""
    with api_server(tmp_path) as (server, _):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


def secret(certificates: Certificates) -> Answer:
    """The Secret of the chart."""
    files = {
        "ca.crt": certificates.authority,
        "tls.crt": certificates.client_certificate,
        "tls.key": certificates.client_key,
    }
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    return answered({"kind": "Secret", "data": data})


def carried(address: str) -> list[Answer]:
    """A pod, and a port-forward that leads there."""

    def behave(handler: Handler) -> None:
        host, port = address.split(":")
        with socket.create_connection((host, int(port))) as remote:
            back = threading.Thread(target=_send_back, args=(handler, remote), daemon=True)
            back.start()
            try:
                while (message := read_frame(handler))[0] != 8:
                    remote.sendall(message[1][1:])
            except (OSError, ValueError):
                return

    return [pods(COLLECTOR), tunnelled(behave)]


def _send_back(handler: Handler, remote: socket.socket) -> None:
    try:
        while content := remote.recv(1 << 14):
            handler.wfile.write(frame(b"\0" + content))
        handler.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def parse(*words: str) -> argparse.Namespace:
    """What the command line makes of these words."""
    parser = argparse.ArgumentParser(prog="bulkhead")
    events.add_parser(parser.add_subparsers())
    return parser.parse_args(["events", *words])


def shown(*words: str, where: str = "-A") -> list[int]:
    """The sequences of one call's entries; of all namespaces, if no other is named."""
    output = io.StringIO()
    wanted = [where] if where and "--namespace" not in words else []
    events.show(parse("-o", "json", *wanted, *words), output)
    return [int(json.loads(line)["id"].split("/")[2]) for line in output.getvalue().splitlines()]


def test_the_clusters_collector_is_found(cluster: Server, collector: Running, certificates: Certificates) -> None:
    """By its labels in its namespace; one's own certificate comes from the Secret."""
    cluster.script = [secret(certificates), pods(COLLECTOR), secret(certificates), *carried(collector.address)]
    assert shown() == [1, 2]
    labels = {"labelSelector": "app.kubernetes.io/name=bulkhead,app.kubernetes.io/component=collector"}
    assert [(path, query) for _, path, query, _ in cluster.requests] == [
        ("/api/v1/namespaces/bulkhead-system/secrets/bulkhead-client-cert", {}),
        ("/api/v1/namespaces/bulkhead-system/pods", labels),
        ("/api/v1/namespaces/bulkhead-system/secrets/bulkhead-client-cert", {}),
        ("/api/v1/namespaces/bulkhead-system/pods", labels),
        ("/api/v1/namespaces/bulkhead-system/pods/bulkhead-collector-0/portforward", {"ports": "7443"}),
    ]


@pytest.mark.parametrize(("namespace", "found"), [("shop", [1]), ("bank", [2]), ("", [])])
def test_the_namespace_is_the_contexts(
    *,
    namespace: str,
    found: list[int],
    cluster: Server,
    collector: Running,
    certificates: Certificates,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As it is kubectl's; `default` where the context has none; what is shown of no violation says where it looked."""
    path = tmp_path / "kubeconfig"
    path.write_text(path.read_text().replace('"user": "me"}', f'"user": "me", "namespace": "{namespace}"}}'))
    cluster.script = [secret(certificates), pods(COLLECTOR), secret(certificates), *carried(collector.address)]
    assert shown(where="") == found
    told = capsys.readouterr().err
    assert ("no violations in namespace default, -A shows all" in told) is (not found)


def test_following_survives_the_collectors_pod(
    cluster: Server, collector: Running, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the connection breaks, and at first nobody is there: each entry once, the reasons on stderr."""
    cluster.script = [secret(certificates), pods(COLLECTOR), secret(certificates), *carried(collector.address)]
    again = [secret(certificates), pods(), secret(certificates), *carried(collector.address)]
    lines: list[str] = []

    class Cutting(io.StringIO):
        def write(self, text: str) -> int:
            lines.append(text)
            if len(lines) == 2:
                cluster.script = again
                cluster.cut()
                _deliver(collector, certificates, 3)
            return len(text)

    events.show(parse("-o", "json", "-A", "--follow", "--count", "3"), Cutting())
    assert [json.loads(line)["id"] for line in lines] == ["node-1/boot/1", "node-1/boot/2", "node-1/boot/3"]
    assert "there is none" in capsys.readouterr().err


def _deliver(collector: Running, certificates: Certificates, sequence: int) -> None:
    """One more violation, as an agent delivers it."""
    tls = TlsFiles(
        certificates.authority, certificates.client_certificate, certificates.client_key, "bulkhead-collector"
    )
    with open_channel(collector.address, tls) as channel:
        method = channel.stream_stream(METHOD, lambda data: data, lambda data: data)
        messages = (HELLO, batch([violation(sequence, "shop")], sequence))
        assert list(method(iter([each.SerializeToString() for each in messages])))


def violation(number: int, namespace: str) -> Entry:
    """Of a pod there."""
    made = entry(number)
    made.violation.namespace = namespace
    return made


def test_a_collector_of_another_name_is_not_trusted(
    cluster: Server, collector: Running, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown of whoever answers with a certificate for something else."""
    monkeypatch.setattr(events_collector, "SERVER_NAME", "somebody-else")
    cluster.script = [secret(certificates), pods(COLLECTOR), secret(certificates), *carried(collector.address) * 3]
    with pytest.raises(Unreachable, match="UNAVAILABLE"):
        shown()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            refused(404, "not found"),
            UsageError,
            "Secret bulkhead-system/bulkhead-client-cert is not there: .*--tls-ca",
        ),
        (refused(403, "you?"), Unreachable, "secrets/bulkhead-client-cert: 403: you?"),
        (answered({"kind": "Secret"}), UsageError, r"lacks ca.crt, tls.crt, tls.key: .*--collector-namespace"),
        (answered({"kind": "Secret", "data": {"ca.crt": "?"}}), UsageError, "not base64"),
    ],
)
def test_a_certificate_that_cannot_be_had_is_said(
    cluster: Server, answer: Answer, error: type[Exception], words: str
) -> None:
    """With the Secret's name and what to do."""
    cluster.script = [answer]
    with pytest.raises(error, match=words):
        shown()


def test_files_take_the_place_of_the_secret(cluster: Server, collector: Running, certificates: Certificates) -> None:
    """Who may not read Secrets can bring a certificate."""
    cluster.script = [pods(COLLECTOR), *carried(collector.address)]
    options = {
        "--tls-ca": certificates.authority,
        "--tls-cert": certificates.client_certificate,
        "--tls-key": certificates.client_key,
    }
    assert shown(*(str(word) for pair in options.items() for word in pair)) == [1, 2]


def test_no_collector_in_the_cluster_is_status_3(cluster: Server, certificates: Certificates) -> None:
    """With the namespace that was searched."""
    cluster.script = [secret(certificates), pods()]
    with pytest.raises(Unreachable, match=r"namespace elsewhere, pods with .*: there is none"):
        shown("--collector-namespace", "elsewhere")


def test_an_address_goes_before_the_cluster(cluster: Server) -> None:
    """Nothing is asked of the API server then; both at once are wrong use."""
    with pytest.raises(Unreachable, match=r"collector 127\.0\.0\.1:1:"):
        shown("--collector", "127.0.0.1:1")
    with pytest.raises(UsageError, match="give one of them"):
        shown("--collector", "127.0.0.1:1", "--context", "here")
    assert cluster.requests == []


def test_kubeconfig_and_context_choose_the_cluster(cluster: Server, tmp_path: Path) -> None:
    """As kubectl's options do."""
    other = kubeconfig(tmp_path / "other", cluster.server_port)
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1: .*Connection refused"):
        shown("--kubeconfig", str(other), "--context", "nowhere")
    with pytest.raises(UsageError, match="missing"):
        shown("--kubeconfig", str(tmp_path / "missing"))


def test_without_a_cluster_it_is_the_local_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ever."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with events_collector.collector(parse()) as (address, tls):
        assert (address, tls) == ("127.0.0.1:7443", None)


def config_map(certificates: Certificates) -> Answer:
    """The chart's, with the authority's certificate."""
    return answered({"kind": "ConfigMap", "data": {"ca.crt": certificates.authority.read_text()}})


def with_token(cluster: Server, tmp_path: Path) -> None:
    """From now on the kubeconfig has the tenant's token."""
    kubeconfig(tmp_path / "kubeconfig", cluster.server_port, "shop-token")


def test_whoever_may_not_read_the_secret_shows_the_kubeconfigs_token(
    cluster: Server, collector: Running, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the port for tokens, of a collector whose authority the ConfigMap has; stderr says so."""
    with_token(cluster, tmp_path)
    start = [refused(403, "you may not"), config_map(certificates), pods(COLLECTOR), config_map(certificates)]
    cluster.script = [*start, *carried(collector.token_address)]
    assert shown("--namespace", "shop") == [1]
    paths = [path.removeprefix("/api/v1/namespaces/bulkhead-system/") for _, path, _, _ in cluster.requests]
    assert paths[:2] == ["secrets/bulkhead-client-cert", "configmaps/bulkhead-collector-ca"]
    assert cluster.requests[-1][2] == {"ports": "7445"}
    told = capsys.readouterr().err
    assert "showing the API server's token to the collector" in told
    assert "shop-token" not in told
    cluster.script = [*start, *carried(collector.token_address)]
    with pytest.raises(Unreachable, match="PERMISSION_DENIED: tenant may not watch"):
        shown()


@pytest.mark.parametrize("has_authority", [False, True])
def test_a_token_of_a_file_goes_before_the_secret(
    cluster: Server, collector: Running, certificates: Certificates, tmp_path: Path, has_authority: bool
) -> None:
    """Neither the Secret nor, with --tls-ca, the ConfigMap is asked for."""
    token = tmp_path / "token"
    token.write_text("shop-token\n")
    words = ["--token-file", str(token), "--namespace", "shop"]
    words += ["--tls-ca", str(certificates.authority)] if has_authority else []
    asked = [] if has_authority else [config_map(certificates)]
    cluster.script = [pods(COLLECTOR), *asked, *carried(collector.token_address)]
    assert shown(*words) == [1]
    assert not [path for _, path, _, _ in cluster.requests if "secrets" in path]


def test_an_authority_alone_goes_with_the_kubeconfigs_token(
    cluster: Server, collector: Running, certificates: Certificates, tmp_path: Path
) -> None:
    """Where certificates are somebody's own, the chart has no ConfigMap for them."""
    with_token(cluster, tmp_path)
    cluster.script = [pods(COLLECTOR), *carried(collector.token_address)]
    assert shown("--tls-ca", str(certificates.authority), "--namespace", "shop") == [1]


def test_neither_certificate_nor_token_is_said(cluster: Server, tmp_path: Path) -> None:
    """Why not the one, and why not the other."""
    with_token(cluster, tmp_path)
    cluster.script = [refused(403, "you?"), refused(404, "not found")]
    with pytest.raises(UsageError, match=r"403: you\?.*ConfigMap bulkhead-system/bulkhead-collector-ca is not there"):
        shown()
    cluster.script = [refused(404, "not found"), answered({"kind": "ConfigMap"})]
    with pytest.raises(UsageError, match=r"Secret .* is not there.*lacks ca.crt: .*collector.tokens.enabled"):
        shown()


def test_a_token_is_for_tls_and_for_nobody_with_a_certificate(
    collector: Running, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere than in a cluster likewise; what is no token is not sent."""
    monkeypatch.delenv("KUBECONFIG", raising=False)
    token = tmp_path / "token"
    token.write_text("two words")
    words = ("--collector", "127.0.0.1:1", "--token-file", str(token))
    with pytest.raises(UsageError, match="there is no token in it"):
        shown(*words)
    with pytest.raises(UsageError, match="two ways to say who one is"):
        shown(*words, "--tls-cert", str(certificates.client_certificate))


def test_following_goes_on_with_a_new_token(
    collector: Running, certificates: Certificates, tenants: Tenants, tmp_path: Path
) -> None:
    """The file is read again when the token has expired, as those of pods do; once that is no help either, it ends."""
    file = tmp_path / "token"
    file.write_text("shop-token")
    tls = TlsFiles(certificates.authority, server_name="bulkhead-collector", token=file)
    notices: list[str] = []

    def renewed(_: float) -> None:
        file.write_text(f"shop-token-{len(notices)}")
        if len(notices) == 1:
            _deliver(collector, certificates, 3)

    entries = Subscription(collector.token_address, tls, Filter(namespace="shop")).follow(notices.append, renewed)
    assert next(entries).entry.sequence == 1
    tenants.valid = {"shop-token-1"}
    assert next(entries).entry.sequence == 3
    assert [("UNAUTHENTICATED" in text, "trying again" in text) for text in notices] == [(True, True)]
    tenants.valid = set()
    with pytest.raises(Unreachable, match="UNAUTHENTICATED"):
        next(entries)
    assert len(notices) == 2
