"""Certificates by a real API server, with the rights that the chart gives and over real gRPC.

The controller is the program, with the tokens of its account; agents ask with tokens that are bound to pods on nodes.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import grpc
import pytest

from bulkhead.agent.cluster.certificate import AgentCertificate
from bulkhead.certificates.names import Names, node_uri
from bulkhead.certificates.pair import facts
from bulkhead.certificates.request import make_request
from bulkhead.collector.roles import roles
from bulkhead.errors import Unreachable
from bulkhead.kube import signing
from bulkhead.kube.client import MERGE_TYPE, Api, connect
from bulkhead.kube.errors import Forbidden
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.report.channel import Pems, TlsFiles, open_channel
from bulkhead.report.identity import NodeIdentity
from bulkhead.report.spool import Spool
from bulkhead.report.stream import Stream
from bulkhead.v1.violations_pb2 import QueryRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.cluster.api_server import test_admission
from tests.cluster.chart.objects import NAMESPACE, Render
from tests.cluster.waiting import await_true
from tests.unit.collector.running import IMPATIENT, Running
from tests.unit.report.samples import entry

NAMES = Names(NAMESPACE, "bulkhead")
PATIENCE_S = 30.0
chart, kubeconfig_of = test_admission.chart, test_admission.kubeconfig_of  # fixtures


@pytest.fixture(scope="module")
def objects(api: Api, chart: None, render: Render) -> None:
    """The empty ones of the chart."""
    for (kind, _), found in render().items():
        if kind in ("Secret", "ConfigMap"):
            api.post(collection_path(kind, NAMESPACE), found)


@pytest.fixture(scope="module")
def controller(objects: None, kubeconfig_of: Callable[..., Path]) -> Iterator[None]:
    """The program, with its own rights."""
    command = [
        sys.executable, "-m", "bulkhead", "controller", "--kubeconfig", str(kubeconfig_of("controller", "one")),
        "--namespace", NAMESPACE, "--certificates", f"{NAMESPACE}/bulkhead",
    ]  # fmt: skip
    running = subprocess.Popen(command)
    yield
    running.kill()
    running.wait()


@pytest.fixture(scope="module")
def agent_of(controller: None, kubeconfig_of: Callable[..., Path]) -> Callable[[str], Path]:
    """The kubeconfig of a node's agent, one pod a node."""
    made: dict[str, Path] = {}

    def agent(node: str) -> Path:
        if node not in made:
            made[node] = kubeconfig_of("agent", node)
        return made[node]

    return agent


@contextmanager
def certified(kubeconfig: Path, node: str, kept: Path) -> Iterator[AgentCertificate]:
    """An agent's certificate, kept fresh."""
    certificate = AgentCertificate(connect(Choice(kubeconfig)), NAMES, node, kept)
    thread = threading.Thread(target=certificate.run)
    thread.start()
    try:
        yield certificate
    finally:
        certificate.stop()
        thread.join()


def shown(certificate: AgentCertificate) -> Pems | None:
    """What it shows by now."""
    try:
        return certificate.read()
    except Unreachable:
        return None


def data_of(api: Api, kind: str, name: str) -> dict[str, bytes]:
    """What an object holds."""
    data = api.get(object_path(kind, NAMESPACE, name)).get("data") or {}
    return {key: base64.b64decode(text) if kind == "Secret" else text.encode() for key, text in data.items()}


class Client:
    """The subscribers' certificate, as `bulkhead events` reads it."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def read(self) -> Pems:
        """What the Secret holds now."""
        data = data_of(self._api, "Secret", NAMES.client_secret)
        return Pems(data["ca.crt"], data["tls.crt"], data["tls.key"])


def mount(api: Api, folder: Path) -> TlsFiles:
    """The collector's Secret in its files, as the kubelet does it."""
    await_true(lambda: "tls.crt" in data_of(api, "Secret", NAMES.collector_secret), "no certificate for the collector")
    for name, content in data_of(api, "Secret", NAMES.collector_secret).items():
        (folder / name).write_bytes(content)
    return TlsFiles(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")


def read_all(address: str, api: Api) -> list[int]:
    """Process ids of all violations, in order."""
    with open_channel(address, Client(api)) as channel:
        page = ViolationsStub(channel).Query(QueryRequest(limit=1_000), timeout=PATIENCE_S)
    return [each.entry.violation.process.pid for each in page.entries]


def test_an_agent_gets_a_certificate_of_its_node(agent_of: Callable[[str], Path], tmp_path: Path) -> None:
    """Which the API server has read from its token."""
    with certified(agent_of("one"), "one", tmp_path / "kept") as certificate:
        await_true(lambda: shown(certificate) is not None, "no certificate")
        pems = certificate.read()
    assert pems.certificate
    assert facts(pems.certificate).names == {node_uri("one")}


def test_violations_flow_on_while_everything_is_replaced(
    api: Api, agent_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """The stream lives through a new certificate of the agent's; it and another one through a new authority. All of it
    arrives once. Another node's agent cannot speak for this one."""
    who = roles([NAMES.agent], [NAMES.client], named_nodes=True)
    collector = Running(tmp_path / "store", tls=mount(api, tmp_path), roles=who)
    spool = Spool(tmp_path / "spool", NodeIdentity("one", "boot"))
    sent: list[int] = []

    def more() -> None:
        spool.append([entry(number) for number in range(len(sent) + 1, len(sent) + 11)])
        sent.extend(range(len(sent) + 1, len(sent) + 11))

    with certified(agent_of("one"), "one", tmp_path / "kept") as certificate:
        await_true(lambda: shown(certificate) is not None, "no certificate")
        stream = Stream(spool, "one", partial(open_channel, collector.address, certificate), IMPATIENT)
        stream.start()
        more()
        assert stream.drain(PATIENCE_S)
        first = certificate.read()
        certificate._held = None  # as if it were due
        certificate._wanted.set()
        await_true(lambda: (again := shown(certificate)) is not None and again != first, "not renewed")
        more()
        assert stream.drain(PATIENCE_S)
        assert stream.failures == 0
        api.patch(object_path("Secret", NAMESPACE, NAMES.authority_secret), {"data": None}, MERGE_TYPE)
        before = data_of(api, "ConfigMap", NAMES.bundle_config)
        with certified(agent_of("two"), "two", tmp_path / "two") as neighbour:  # whose request wakes the controller
            await_true(lambda: data_of(api, "ConfigMap", NAMES.bundle_config) != before, "no new authority")
            await_true(
                lambda: data_of(api, "Secret", NAMES.collector_secret)["ca.crt"]
                == data_of(api, "ConfigMap", NAMES.bundle_config)["ca.crt"],
                "the collector has no new certificate",
            )  # fmt: skip
            mount(api, tmp_path)
            more()
            assert stream.drain(PATIENCE_S)  # who is connected stays so
            assert stream._session
            stream._session.end()  # and who connects anew is let in
            more()
            assert stream.drain(PATIENCE_S)
            assert read_all(collector.address, api) == sent
            await_true(lambda: shown(neighbour) is not None, "no certificate for the neighbour")
            stray = Spool(tmp_path / "stray", NodeIdentity("one", "boot-2"))
            stray.append([entry(999)])
            liar = Stream(stray, "one", partial(open_channel, collector.address, neighbour), IMPATIENT)
            liar.start()
            await_true(lambda: liar.failures > 3, "a neighbour speaks for this node")
            liar.stop()
            stray.close()
        assert read_all(collector.address, api) == sent
        stream.stop()
    spool.close()
    collector.stop()


def refusal_of(api: Api, asking: Api) -> str:
    """How a request ends that `asking` makes."""
    request, _ = make_request("x")
    name = signing.ask(asking, NAMES.signer, "stray-", request)
    await_true(lambda: signing.look(api, name).decided, "not answered")
    found = signing.look(api, name)
    assert found.certificate == b""
    return found.denial


def stray_signer_refusal(asking: Api, request: bytes) -> str:
    """What the API server says to a request for a kubelet's certificate; empty where it takes it."""
    try:
        signing.ask(asking, "kubernetes.io/kube-apiserver-client-kubelet", "stray-", request)
    except Forbidden as error:
        return str(error)
    return ""


def test_nobody_else_gets_one(
    api: Api,
    controller: None,
    kubeconfig_of: Callable[..., Path],
    agent_of: Callable[[str], Path],
) -> None:
    """Neither the administrator, nor an agent's account without a pod; and an agent asks no other signer."""
    assert "gets certificates, nobody else" in refusal_of(api, api)
    assert "bound to no node" in refusal_of(api, connect(Choice(kubeconfig_of("agent"))))
    agent = connect(Choice(agent_of("one")))
    request, _ = make_request("system:node:two")
    await_true(lambda: stray_signer_refusal(agent, request) != "", "an agent may ask any signer")
    assert f"an agent asks {NAMES.signer} for a certificate, and no other" in stray_signer_refusal(agent, request)
    for refused in (
        lambda: agent.get(collection_path(signing.KIND)),
        lambda: agent.get(object_path("Secret", NAMESPACE, NAMES.authority_secret)),
        lambda: agent.get(collection_path("ConfigMap", NAMESPACE)),
    ):
        with pytest.raises(Forbidden):
            refused()


def test_the_controllers_rights_end_there(api: Api, controller: None, kubeconfig_of: Callable[..., Path]) -> None:
    """No other Secret, and no request to another signer."""
    own = connect(Choice(kubeconfig_of("controller", "two")))
    request, _ = make_request("x")
    name = signing.ask(api, "bulkhead.dev/other", "other-", request)
    await_true(lambda: "tls.crt" in data_of(api, "Secret", NAMES.collector_secret), "no certificate at all")
    certificate = data_of(api, "Secret", NAMES.collector_secret)["tls.crt"]
    for refused in (
        lambda: own.get(collection_path("Secret", NAMESPACE)),
        lambda: own.post(collection_path("Secret", NAMESPACE), {"metadata": {"name": "x"}}),
        lambda: own.get(object_path("ConfigMap", NAMESPACE, "kube-root-ca.crt")),
        lambda: signing.approve(own, signing.look(own, name), "x"),
        lambda: signing.put_certificate(own, signing.look(own, name), certificate),
    ):
        with pytest.raises(Forbidden):
            refused()
    assert not signing.look(api, name).decided


def test_a_stranger_is_not_let_in(api: Api, controller: None, tmp_path: Path) -> None:
    """Who has no certificate of this authority."""
    collector = Running(tmp_path / "store", tls=mount(api, tmp_path))
    with open_channel(collector.address, TlsFiles(tmp_path / "ca.crt")) as channel, pytest.raises(grpc.RpcError):
        ViolationsStub(channel).Query(QueryRequest(), timeout=PATIENCE_S)
    assert read_all(collector.address, api) == []
    collector.stop()
