"""What the chart makes for certificates, filled by the controller's code and used by the programs they are for.

Next step: tests/cluster/api_server/test_certificates.py, with a real API server and the rights that the chart gives.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from bulkhead.certificates.authority import Leaf, Usage, issue
from bulkhead.certificates.names import Names, names_of, node_uri
from bulkhead.cli import events_collector, program_parser
from bulkhead.cli.controller import certificates
from bulkhead.collector.roles import Roles, roles
from bulkhead.collector.server import Collector, CollectorOptions
from bulkhead.controller.certificates import CertificateSettings, Keeper, utc_now
from bulkhead.kube.objects import object_path
from bulkhead.report.channel import Pems, TlsFiles, open_channel
from bulkhead.report.stream import METHOD
from bulkhead.v1.ingest_pb2 import AgentMessage, CollectorMessage
from bulkhead.v1.violations_pb2 import QueryRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.cluster.chart.objects import NAMESPACE, Objects, Render
from tests.unit.certificates.fake_api import FakeApi
from tests.unit.collector.running import HELLO

CONNECT_S = 10.0
KINDS = {"Secret", "ConfigMap"}


def arguments(objects: Objects, kind: str, name: str) -> list[str]:
    """What a program is told."""
    (container,) = objects[kind, name]["spec"]["template"]["spec"]["containers"]
    return list(container["args"])


class Release:
    """A release whose controller has filled what the chart has made, and no object that it has not."""

    def __init__(self, objects: Objects, name: str, folder: Path) -> None:
        understood = program_parser("controller").parse_args(arguments(objects, "Deployment", f"{name}-controller"))
        settings = certificates(understood)
        assert settings is not None
        self.settings: CertificateSettings = settings
        self.names: Names = settings.names
        self._fake = FakeApi()
        self._fake.objects.clear()
        for (kind, found_name), found in objects.items():
            if kind in KINDS:
                self._fake.store(object_path(kind, NAMESPACE, found_name), found)
        self._signs = Keeper(self._fake.api, settings).keep()
        self.bundle = str(self._data("ConfigMap", self.names.bundle_config)["ca.crt"]).encode()
        collector = self._pair(self.names.collector_secret)
        self.files = TlsFiles(*(folder / each for each in ("ca.crt", "tls.crt", "tls.key")))
        for path, content in zip((folder / "ca.crt", folder / "tls.crt", folder / "tls.key"), collector, strict=True):
            path.write_bytes(content)
        who = vars(program_parser("collector").parse_args(arguments(objects, "Deployment", f"{name}-collector")))
        self.roles = roles(who["agents"], who["readers"], who["named_nodes"])

    def client(self) -> Pems:
        """The subscribers'."""
        return Pems(*self._pair(self.names.client_secret))

    def agent(self, node: str) -> Pems:
        """As the controller issues it."""
        leaf = Leaf(self.names.agent, (node_uri(node),), Usage.CLIENT, timedelta(hours=1))
        return Pems(self.bundle, *issue(self._signs, leaf, utc_now()))

    def _data(self, kind: str, name: str) -> dict[str, Any]:
        return dict(self._fake.objects[object_path(kind, NAMESPACE, name)]["data"])

    def _pair(self, name: str) -> tuple[bytes, bytes, bytes]:
        data = self._data("Secret", name)
        authority, certificate, key = (base64.b64decode(data[each]) for each in ("ca.crt", "tls.crt", "tls.key"))
        return authority, certificate, key


class Shown:
    """What a client shows."""

    def __init__(self, pems: Pems) -> None:
        self._pems = pems

    def read(self) -> Pems:
        """It."""
        return self._pems


@asynccontextmanager
async def collector(tls: TlsFiles, store: Path, who: Roles) -> AsyncIterator[int]:
    """A real one; gives its port."""
    running = Collector(CollectorOptions("127.0.0.1:0", store, tls, roles=who))
    await running.start()
    try:
        yield running.port
    finally:
        await running.stop(grace_s=0)


def may(address: str, pems: Pems) -> dict[str, bool]:
    """What a client with these may do: read, and deliver for node-1."""
    outcomes = {}
    with open_channel(address, Shown(pems)) as channel:
        deliver = channel.stream_stream(METHOD, AgentMessage.SerializeToString, CollectorMessage.FromString)  # type: ignore[arg-type]
        for what, call in {
            "read": lambda: ViolationsStub(channel).Query(QueryRequest(), timeout=CONNECT_S),
            "deliver": lambda: next(deliver(iter([HELLO]), timeout=CONNECT_S)),
        }.items():
            try:
                call()
                outcomes[what] = True
            except grpc.RpcError:
                outcomes[what] = False
    return outcomes


@pytest.mark.parametrize("name", ["bulkhead", "my"])
def test_each_certificate_does_its_own(name: str, render: Render, tmp_path: Path) -> None:
    """A node's agent delivers for its node, a subscriber reads, another release's may nothing."""
    release = Release(render({"fullnameOverride": name}, release=name), name, tmp_path)
    (tmp_path / "other").mkdir()
    other = Release(render({"fullnameOverride": name}, release=name), name, tmp_path / "other")

    async def attempt() -> list[dict[str, bool]]:
        async with collector(release.files, tmp_path / "store", release.roles) as port:
            shown = (release.agent("node-1"), release.agent("node-2"), release.client(), other.client())
            return [await asyncio.to_thread(may, f"localhost:{port}", pems) for pems in shown]

    assert asyncio.run(attempt()) == [
        {"read": False, "deliver": True},
        {"read": False, "deliver": False},
        {"read": True, "deliver": False},
        {"read": False, "deliver": False},
    ]


def is_for(port: int, host: str, pems: Pems, folder: Path) -> bool:
    """Whether the collector's certificate is for that name."""
    assert pems.authority
    assert pems.certificate
    assert pems.key
    context = ssl.create_default_context(cadata=pems.authority.decode())
    for name, content in (("c.crt", pems.certificate), ("c.key", pems.key)):
        (folder / name).write_bytes(content)
    context.load_cert_chain(folder / "c.crt", folder / "c.key")
    with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_S) as connection:
        try:
            context.wrap_socket(connection, server_hostname=host).close()
        except ssl.SSLCertVerificationError:
            return False
    return True


@pytest.mark.parametrize("name", ["bulkhead", "my"])
def test_the_collectors_certificate_is_for_its_names(name: str, render: Render, tmp_path: Path) -> None:
    """The Service's, the one that `bulkhead events` asks for, and this machine's for a forwarded port; no others."""
    objects = render({"fullnameOverride": name}, release=name)
    release = Release(objects, name, tmp_path)
    service = f"{name}-collector"
    told = arguments(objects, "DaemonSet", f"{name}-agent")
    address = told[told.index("--collector") + 1].partition(":")[0]
    names = [
        *dict.fromkeys(
            (service, f"{service}.{NAMESPACE}", address, events_collector.SERVER_NAME, "localhost", "127.0.0.1")
        )
    ]

    async def attempt() -> list[str]:
        async with collector(release.files, tmp_path / "store", release.roles) as port:
            tried = [*names, "elsewhere", "bulkhead-agent"]
            return [each for each in tried if await asyncio.to_thread(is_for, port, each, release.client(), tmp_path)]

    assert asyncio.run(attempt()) == names


def test_the_chart_makes_objects_without_content(render: Render) -> None:
    """What it does not say, an upgrade does not change, and tools that render it see no difference."""
    objects = render()
    made = {name: found for name, found in objects.items() if name[0] in KINDS}
    assert len(made) == 4
    assert [name for name, found in made.items() if found.keys() & {"data", "stringData", "immutable"}] == []
    assert {found["type"] for (kind, _), found in made.items() if kind == "Secret"} == {"Opaque"}


@pytest.mark.parametrize("release", ["bulkhead", "my-bulkhead"])
def test_agent_and_controller_mean_the_same_objects(release: str, render: Render) -> None:
    """By one argument; the rights are for these objects by name, and for this signer."""
    objects = render(release=release)
    words = [arguments(objects, *which) for which in (
        ("DaemonSet", f"{release}-agent"), ("Deployment", f"{release}-controller"),
    )]  # fmt: skip
    (names,) = {names_of(each[each.index("--certificates") + 1]) for each in words}
    assert {
        ("Secret", names.authority_secret), ("Secret", names.collector_secret), ("Secret", names.client_secret),
        ("ConfigMap", names.bundle_config),
    } <= objects.keys()  # fmt: skip
    rules = objects["Role", f"{release}-controller"]["rules"]
    named = {tuple(rule["resources"]): rule["resourceNames"] for rule in rules if "resourceNames" in rule}
    assert named["secrets",] == [names.authority_secret, names.collector_secret, names.client_secret]
    assert named["configmaps",] == [names.bundle_config]
    (read,) = objects["Role", f"{release}-agent"]["rules"]
    assert (read["resourceNames"], read["verbs"]) == ([names.bundle_config], ["get"])
    signers = [
        rule
        for rule in objects["ClusterRole", f"{release}-controller"]["rules"]
        if rule["resources"] == ["signers"]
    ]  # fmt: skip
    assert [rule["resourceNames"] for rule in signers] == [[names.signer]]
    account = objects["DaemonSet", f"{release}-agent"]["spec"]["template"]["spec"]["serviceAccountName"]
    assert names.agent_account == f"system:serviceaccount:{NAMESPACE}:{account}"


def test_certificates_last_as_long_as_asked_for(render: Render, tmp_path: Path) -> None:
    """As many hours as the value says."""
    release = Release(render({"tls": {"agentCertificateHours": 48}}), "bulkhead", tmp_path)
    assert release.settings.terms.agent == timedelta(hours=48)


def test_the_collector_waits_for_its_certificate(render: Render) -> None:
    """Its pod does not begin without the files."""
    objects = render()
    (volume,) = [
        each
        for each in objects["Deployment", "bulkhead-collector"]["spec"]["template"]["spec"]["volumes"]
        if each["name"] == "tls"
    ]
    assert {item["key"] for item in volume["secret"]["items"]} == {"tls.crt", "tls.key", "ca.crt"}
    assert "optional" not in volume["secret"]


def test_certificates_of_ones_own_come_from_files(render: Render) -> None:
    """Of a Secret; then nobody issues any, and nobody has the rights to."""
    objects = render({"tls": {"existingSecrets": {"collector": "a", "agent": "b"}}})
    agent, controller, collector = (
        vars(program_parser(who).parse_args(arguments(objects, kind, f"bulkhead-{who}")))
        for kind, who in (("DaemonSet", "agent"), ("Deployment", "controller"), ("Deployment", "collector"))
    )
    names = ("ca.crt", "tls.crt", "tls.key")
    assert [agent[name] for name in ("tls_ca", "tls_cert", "tls_key")] == [
        Path("/etc/bulkhead/tls") / name for name in names
    ]
    assert (agent["certificates"], controller["certificates"], collector["named_nodes"]) == ("", "", False)
    volumes = objects["DaemonSet", "bulkhead-agent"]["spec"]["template"]["spec"]["volumes"]
    assert {"name": "tls", "secret": {"secretName": "b", "defaultMode": 0o400}} in volumes
    roles = [found for (kind, _), found in objects.items() if kind in ("Role", "ClusterRole")]
    resources = {resource for role in roles for rule in role["rules"] for resource in rule["resources"]}
    assert not {"secrets", "configmaps", "signers", "certificatesigningrequests"} & resources
