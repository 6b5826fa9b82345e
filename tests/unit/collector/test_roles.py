"""A certificate of the right authority may do what its name says, and no more: over real TLS."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from bulkhead.collector.roles import Roles, roles
from bulkhead.errors import UsageError
from bulkhead.report.channel import TlsFiles, open_channel
from bulkhead.report.stream import METHOD
from bulkhead.v1.ingest_pb2 import AgentMessage, CollectorMessage
from bulkhead.v1.violations_pb2 import QueryRequest, SubscribeRequest
from bulkhead.v1.violations_pb2_grpc import ViolationsStub
from tests.unit.collector.certificates import Certificates, make_certificates
from tests.unit.collector.running import HELLO, Running, running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The client's certificate has the common name `client`."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def outcomes(directory: Path, made: Certificates, who: Roles) -> dict[str, grpc.StatusCode | None]:
    """How delivering, one page and a subscription end for the client; None where it may."""
    server = TlsFiles(made.authority, made.server_certificate, made.server_key)
    client = TlsFiles(made.authority, made.client_certificate, made.client_key)
    with running(directory, tls=server, roles=who) as collector, open_channel(collector.address, client) as channel:
        deliver = channel.stream_stream(
            METHOD, AgentMessage.SerializeToString, CollectorMessage.FromString  # type: ignore[arg-type]
        )  # fmt: skip
        violations = ViolationsStub(channel)
        return {
            "deliver": ended(lambda: next(deliver(iter([HELLO])))),
            "query": ended(lambda: violations.Query(QueryRequest())),
            "subscribe": ended(lambda: next(violations.Subscribe(SubscribeRequest()))),
        }


def ended(call: object) -> grpc.StatusCode | None:
    """The status that a call ended with, None for the first answer."""
    assert callable(call)
    try:
        call()
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()  # type: ignore[attr-defined]
        return code
    return None


REFUSED = grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("agents", "readers", "expected"),
    [
        ([], [], {"deliver": None, "query": None, "subscribe": None}),
        (["client"], ["other"], {"deliver": None, "query": REFUSED, "subscribe": REFUSED}),
        (["other"], ["x", "client"], {"deliver": REFUSED, "query": None, "subscribe": None}),
    ],
)
def test_names_say_what_a_certificate_is_for(
    tmp_path: Path, made: Certificates, agents: list[str], readers: list[str], expected: dict[str, grpc.StatusCode]
) -> None:
    """An agent's reads nothing, a reader's delivers nothing."""
    assert outcomes(tmp_path, made, roles(agents, readers)) == expected


def test_names_without_certificates_would_protect_nothing(tmp_path: Path) -> None:
    """So the collector does not start."""
    with pytest.raises(UsageError, match="need certificates"):
        Running(tmp_path, roles=roles(["client"], []))
