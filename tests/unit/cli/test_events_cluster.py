"""`bulkhead events` in a cluster: by way of the API server, with the certificate that the chart made."""

from __future__ import annotations

import argparse
import base64
import io
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.cli import events
from bulkhead.errors import Unreachable, UsageError
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.stream import METHOD
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


@pytest.fixture
def collector(tmp_path: Path, certificates: Certificates) -> Iterator[Running]:
    """A collector that wants a certificate of its clients, with two violations."""
    fill = Running(tmp_path / "store")
    converse(fill.address, HELLO, batch([entry(1), entry(2)]))
    fill.stop()
    tls = TlsFiles(certificates.authority, certificates.server_certificate, certificates.server_key)
    running = Running(tmp_path / "store", tls=tls)
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


def tunnel_to(collector: Running) -> Answer:
    """A port-forward to it."""

    def behave(handler: Handler) -> None:
        host, port = collector.address.split(":")
        with socket.create_connection((host, int(port))) as remote:
            back = threading.Thread(target=_send_back, args=(handler, remote), daemon=True)
            back.start()
            try:
                while (message := read_frame(handler))[0] != 8:
                    remote.sendall(message[1][1:])
            except (OSError, ValueError):
                return

    return tunnelled(behave)


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


def shown(*words: str) -> list[int]:
    """The sequences of one call's entries."""
    output = io.StringIO()
    events.show(parse("-o", "json", *words), output)
    return [int(json.loads(line)["id"].split("/")[2]) for line in output.getvalue().splitlines()]


def test_the_clusters_collector_is_found(cluster: Server, collector: Running, certificates: Certificates) -> None:
    """By its labels in its namespace; one's own certificate comes from the Secret."""
    cluster.script = [pods(COLLECTOR), secret(certificates), pods(COLLECTOR), tunnel_to(collector)]
    assert shown() == [1, 2]
    labels = {"labelSelector": "app.kubernetes.io/name=bulkhead,app.kubernetes.io/component=collector"}
    assert [(path, query) for _, path, query, _ in cluster.requests] == [
        ("/api/v1/namespaces/bulkhead-system/pods", labels),
        ("/api/v1/namespaces/bulkhead-system/secrets/bulkhead-client-tls", {}),
        ("/api/v1/namespaces/bulkhead-system/pods", labels),
        ("/api/v1/namespaces/bulkhead-system/pods/bulkhead-collector-0/portforward", {"ports": "7443"}),
    ]


def test_following_survives_the_collectors_pod(
    cluster: Server, collector: Running, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    """When the connection breaks, and at first nobody is there: each entry once, the reasons on stderr."""
    cluster.script = [pods(COLLECTOR), secret(certificates), pods(COLLECTOR), tunnel_to(collector)]
    again = [secret(certificates), pods(), secret(certificates), pods(COLLECTOR), tunnel_to(collector)]
    lines: list[str] = []

    class Cutting(io.StringIO):
        def write(self, text: str) -> int:
            lines.append(text)
            if len(lines) == 2:
                cluster.script = again
                cluster.cut()
                _deliver(collector, certificates, 3)
            return len(text)

    events.show(parse("-o", "json", "--follow", "--count", "3"), Cutting())
    assert [json.loads(line)["id"] for line in lines] == ["node-1/boot/1", "node-1/boot/2", "node-1/boot/3"]
    assert "there is none" in capsys.readouterr().err


def _deliver(collector: Running, certificates: Certificates, sequence: int) -> None:
    """One more violation, as an agent delivers it."""
    tls = TlsFiles(
        certificates.authority, certificates.client_certificate, certificates.client_key, "bulkhead-collector"
    )
    with open_channel(collector.address, tls) as channel:
        method = channel.stream_stream(METHOD, lambda data: data, lambda data: data)
        messages = (HELLO, batch([entry(sequence)], sequence))
        assert list(method(iter([each.SerializeToString() for each in messages])))


def test_a_collector_of_another_name_is_not_trusted(
    cluster: Server, collector: Running, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is shown of whoever answers with a certificate for something else."""
    monkeypatch.setattr(events, "SERVER_NAME", "somebody-else")
    cluster.script = [pods(COLLECTOR), secret(certificates), *[pods(COLLECTOR), tunnel_to(collector)] * 3]
    with pytest.raises(Unreachable, match="UNAVAILABLE"):
        shown()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refused(404, "not found"), UsageError, "Secret bulkhead-system/bulkhead-client-tls is not there: .*--tls-ca"),
        (refused(403, "you?"), Unreachable, "secrets/bulkhead-client-tls: 403: you?"),
        (answered({"kind": "Secret"}), UsageError, r"lacks ca.crt, tls.crt, tls.key: .*--collector-namespace"),
        (answered({"kind": "Secret", "data": {"ca.crt": "?"}}), UsageError, "not base64"),
    ],
)
def test_a_certificate_that_cannot_be_had_is_said(
    cluster: Server, answer: Answer, error: type[Exception], words: str
) -> None:
    """With the Secret's name and what to do."""
    cluster.script = [pods(COLLECTOR), answer]
    with pytest.raises(error, match=words):
        shown()


def test_files_take_the_place_of_the_secret(cluster: Server, collector: Running, certificates: Certificates) -> None:
    """Who may not read Secrets can bring a certificate."""
    cluster.script = [pods(COLLECTOR), pods(COLLECTOR), tunnel_to(collector)]
    options = {
        "--tls-ca": certificates.authority,
        "--tls-cert": certificates.client_certificate,
        "--tls-key": certificates.client_key,
    }
    assert shown(*(str(word) for pair in options.items() for word in pair)) == [1, 2]


def test_no_collector_in_the_cluster_is_status_3(cluster: Server) -> None:
    """With the namespace that was searched."""
    cluster.script = [pods()]
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
    with events.collector(parse()) as (address, tls):
        assert (address, tls) == ("127.0.0.1:7443", None)
