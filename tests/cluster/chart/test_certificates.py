"""The certificates that the chart makes, used by the programs they are for. That upgrades keep them needs a cluster.

Next step: `templates/_certificates.tpl`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from bulkhead.cli import events_collector
from bulkhead.collector.roles import Roles, roles
from bulkhead.collector.server import EVERYBODY, Collector, CollectorOptions
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.v1.violations_pb2 import QueryRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.cluster.chart.objects import NAMESPACE, Objects, Render

CONNECT_S = 10.0


def written(objects: Objects, who: str, folder: Path, release: str = "bulkhead") -> TlsFiles:
    """The files of a Secret, as its volume shows them."""
    folder.mkdir()
    for name, text in objects["Secret", f"{release}-{who}-tls"]["data"].items():
        (folder / name).write_bytes(base64.b64decode(text))
    return TlsFiles(folder / "ca.crt", folder / "tls.crt", folder / "tls.key")


@pytest.fixture
def files(render: Render, tmp_path: Path) -> dict[str, TlsFiles]:
    """Those of one rendering, and an agent's of another."""
    objects = render()
    own = {who: written(objects, who, tmp_path / who) for who in ("collector", "agent", "client")}
    return {**own, "stranger": written(render(), "agent", tmp_path / "stranger")}


@asynccontextmanager
async def collector(tls: TlsFiles, store: Path, who: Roles = EVERYBODY) -> AsyncIterator[int]:
    """A real one; gives its port."""
    running = Collector(CollectorOptions("127.0.0.1:0", store, tls, roles=who))
    await running.start()
    try:
        yield running.port
    finally:
        await running.stop(grace_s=0)


def connects(address: str, tls: TlsFiles) -> bool:
    """Whether a channel to the address becomes ready."""
    with open_channel(address, tls) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=CONNECT_S)
        except grpc.FutureTimeoutError:
            return False
        return True


def presented(port: int, name: str, tls: TlsFiles) -> list[str]:
    """When the collector's certificate and its authority end; nothing where it is not for that name."""
    context = ssl.create_default_context(cafile=str(tls.authority))
    context.load_cert_chain(str(tls.certificate), str(tls.key))
    with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_S) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=name) as secured:
                shown = [secured.getpeercert(), *context.get_ca_certs()]
        except ssl.SSLCertVerificationError:
            return []
    return [str(each["notAfter"]) for each in shown if each]


@pytest.mark.parametrize(("who", "is_served"), [("agent", True), ("client", True), ("stranger", False)])
def test_the_collector_serves_whom_its_authority_signed(
    who: str, is_served: bool, files: dict[str, TlsFiles], tmp_path: Path
) -> None:
    """Agents and subscribers of this release, and no others."""

    async def attempt() -> bool:
        async with collector(files["collector"], tmp_path / "store") as port:
            return await asyncio.to_thread(connects, f"localhost:{port}", files[who])

    assert asyncio.run(attempt()) is is_served


def may_read(address: str, tls: TlsFiles) -> bool:
    """Whether a page of violations is given."""
    with open_channel(address, tls) as channel:
        try:
            ViolationsStub(channel).Query(QueryRequest(), timeout=CONNECT_S)
        except grpc.RpcError:
            return False
        return True


@pytest.mark.parametrize("release", ["bulkhead", "my"])
def test_a_subscribers_certificate_reads_and_an_agents_does_not(release: str, render: Render, tmp_path: Path) -> None:
    """By the names that the chart gives the collector on its command line."""
    objects = render({"fullnameOverride": release}, release=release)
    own = {who: written(objects, who, tmp_path / who, release) for who in ("collector", "agent", "client")}
    (container,) = objects["Deployment", f"{release}-collector"]["spec"]["template"]["spec"]["containers"]
    words = container["args"]
    who = roles([words[words.index("--tls-agent") + 1]], [words[words.index("--tls-reader") + 1]])

    async def attempt(tls: TlsFiles) -> bool:
        async with collector(own["collector"], tmp_path / "store", who) as port:
            return await asyncio.to_thread(may_read, f"localhost:{port}", tls)

    assert [asyncio.run(attempt(own[each])) for each in ("client", "agent")] == [True, False]


@pytest.mark.parametrize("release", ["bulkhead", "my"])
def test_the_collectors_certificate_is_for_its_names(release: str, render: Render, tmp_path: Path) -> None:
    """The Service's, the one that `bulkhead events` asks for, and this machine's for a forwarded port; no others."""
    objects = render({"fullnameOverride": release}, release=release)
    own = {who: written(objects, who, tmp_path / who, release) for who in ("collector", "agent")}
    service = f"{release}-collector"
    names = [
        service,
        f"{service}.{NAMESPACE}",
        f"{service}.{NAMESPACE}.svc",
        events_collector.SERVER_NAME,
        "localhost",
        "127.0.0.1",
    ]

    async def attempt() -> list[str]:
        async with collector(own["collector"], tmp_path / "store") as port:
            tried = [*names, "elsewhere", "bulkhead-agent"]
            return [name for name in tried if await asyncio.to_thread(presented, port, name, own["agent"])]

    assert asyncio.run(attempt()) == names


def test_a_new_certificate_restarts_the_collector(render: Render) -> None:
    """Its pods carry the digest of the very certificate that is in the Secret."""
    objects = render()
    template = objects["Deployment", "bulkhead-collector"]["spec"]["template"]
    certificate = objects["Secret", "bulkhead-collector-tls"]["data"]["tls.crt"]
    digest = hashlib.sha256(certificate.encode()).hexdigest()
    assert template["metadata"]["annotations"]["checksum/tls"] == digest


def test_each_secret_holds_its_own_key_and_no_authoritys(render: Render) -> None:
    """One authority for all, and nothing to sign more certificates with."""
    objects = render()
    secrets = [objects["Secret", f"bulkhead-{who}-tls"] for who in ("collector", "agent", "client")]
    assert {tuple(sorted(secret["data"])) for secret in secrets} == {("ca.crt", "tls.crt", "tls.key")}
    assert len({secret["data"]["ca.crt"] for secret in secrets}) == 1
    assert len({secret["data"]["tls.key"] for secret in secrets}) == len(secrets)


def test_certificates_last_as_long_as_asked_for(render: Render, tmp_path: Path) -> None:
    """As many days as the value says, the authority's included."""
    objects = render({"tls": {"validityDays": 30}})
    own = {who: written(objects, who, tmp_path / who) for who in ("collector", "client")}

    async def attempt() -> list[str]:
        async with collector(own["collector"], tmp_path / "store") as port:
            return await asyncio.to_thread(presented, port, "localhost", own["client"])

    ends = asyncio.run(attempt())
    assert len(ends) == 2
    assert [round((ssl.cert_time_to_seconds(end) - time.time()) / 86_400) for end in ends] == [30, 30]
