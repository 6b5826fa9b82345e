"""Requests, credentials and configuration against a real HTTP server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bulkhead.errors import Unreachable, UsageError
from bulkhead.kube import config
from bulkhead.kube.client import connect
from bulkhead.kube.errors import (
    ApiRefused,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
)
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import apply, apply_status, collection_path, object_path
from tests.unit.kube.api_server import Handler, answered, api_server, babble, kubeconfig, refused, watched

PATH = "/api/v1/things"


def test_requests_carry_method_path_query_body_and_credentials(tmp_path: Path) -> None:
    """And answers come back as they are."""
    with api_server(tmp_path, token="secret") as (server, api):
        server.script = [answered({"number": each}) for each in range(4)]
        answers = [
            api.get(PATH, {"fieldSelector": "metadata.name=a b&c"}),
            api.post(PATH, {"x": "ä"}),
            api.patch(f"{PATH}/a", [{"op": "test"}], "application/json-patch+json"),
            api.delete(f"{PATH}/a"),
        ]
    assert [each["number"] for each in answers] == [0, 1, 2, 3]
    assert server.requests == [
        ("GET", PATH, {"fieldSelector": "metadata.name=a b&c"}, None),
        ("POST", PATH, {}, {"x": "ä"}),
        ("PATCH", f"{PATH}/a", {}, [{"op": "test"}]),
        ("DELETE", f"{PATH}/a", {}, None),
    ]
    assert {each["authorization"] for each in server.headers} == {"Bearer secret"}
    assert all(each["User-Agent"].startswith("bulkhead/") for each in server.headers)
    assert server.headers[2]["Content-Type"] == "application/json-patch+json"


def test_apply_is_server_side(tmp_path: Path) -> None:
    """A patch in the form that the API server knows as apply, with our name; status has a path of its own."""
    with api_server(tmp_path) as (server, api):
        server.script = [answered({})] * 2
        apply(api, object_path("NodeState", "", "n"), {"kind": "NodeState"})
        apply_status(api, object_path("SecurityPolicy", "shop", "web"), {"kind": "SecurityPolicy"}, force=False)
    ours = "/apis/bulkhead.dev/v1alpha1"
    assert [each[:3] for each in server.requests] == [
        ("PATCH", f"{ours}/nodestates/n", {"fieldManager": "bulkhead-agent", "force": "true"}),
        ("PATCH", f"{ours}/namespaces/shop/securitypolicies/web/status", {"fieldManager": "bulkhead-agent"}),
    ]
    assert server.headers[0]["Content-Type"] == "application/apply-patch+yaml"
    assert collection_path("Pod", "shop") == "/api/v1/namespaces/shop/pods"


@pytest.mark.parametrize(
    ("status", "kind", "pause_at_least_s"),
    [
        (400, Invalid, 0),
        (401, Forbidden, 10),
        (403, Forbidden, 10),
        (404, NotFound, 0),
        (409, Conflict, 0),
        (410, Expired, 0),
        (418, ApiRefused, 0),
        (422, Invalid, 0),
        (429, TooManyRequests, 0),
        (500, ServerError, 0),
        (503, ServerError, 0),
        (302, ApiRefused, 0),
    ],
)
def test_a_refusal_is_an_error_of_its_kind(
    tmp_path: Path, status: int, kind: type[ApiRefused], pause_at_least_s: float
) -> None:
    """Whose message says who refused what and why, and what stays; nothing is tried again by itself."""
    with api_server(tmp_path) as (server, api):
        server.script = [refused(status, "because", Retry_After="3")]
        with pytest.raises(ApiRefused) as caught:
            api.get(PATH)
    error = caught.value
    assert (type(error), error.status, error.retry_after_s) == (kind, status, 3)
    assert error.pause_at_least_s == pause_at_least_s
    assert error.exit_status == (2 if kind is NotFound else 3)
    expected = f"API server {api.server}: GET {PATH}: {status}: because; what is enforced stays enforced"
    assert str(error) == expected
    assert len(server.requests) == 1


def half(handler: Handler) -> None:
    """An answer that breaks off."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b'{"a"')
    handler.close_connection = True


def text(handler: Handler) -> None:
    """A gateway's page instead of JSON."""
    handler.send_response(502)
    handler.send_header("Content-Length", "13")
    handler.end_headers()
    handler.wfile.write(b"<h1>bad</h1>\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (half, "closed within the answer"),
        (babble, "GET"),
        (answered([]), "no JSON object"),
        (text, "502: <h1>bad</h1>"),
        (lambda handler: handler.server.over.wait(), "no answer in time"),
    ],
)
def test_answers_that_make_no_sense_are_unreachable(
    tmp_path: Path, answer: Callable[[Handler], None], words: str
) -> None:
    """One kind of error for whatever a broken way can do, and it names the server."""
    with api_server(tmp_path) as (server, api):
        server.script = [answer]
        with pytest.raises(Unreachable, match=words) as caught:
            api.get(PATH, timeout_s=0.2)
        assert api.server in str(caught.value)


def test_a_refused_connection_says_so(tmp_path: Path) -> None:
    """In the words of the operating system, without the insides of HTTP libraries."""
    api = connect(Choice(kubeconfig(tmp_path / "kubeconfig", 80), "nowhere"))
    with pytest.raises(Unreachable, match=r"^API server http://127\.0\.0\.1:1: GET /x: Connection refused; what is"):
        api.get("/x")


def test_compressed_answers_are_read(tmp_path: Path) -> None:
    """The API server compresses long lists."""

    def compressed(handler: Handler) -> None:
        content = gzip.compress(json.dumps({"a": 1}).encode())
        handler.send_response(200)
        handler.send_header("Content-Encoding", handler.headers["Accept-Encoding"])
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    with api_server(tmp_path) as (server, api):
        server.script = [compressed]
        assert api.get(PATH) == {"a": 1}


@pytest.fixture
def no_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No kubeconfig and no pod; the path is the home directory."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_kubeconfig_is_found_as_kubectl_finds_it(no_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is named, then KUBECONFIG, then the one at home; with another context where one is named."""
    assert not config.is_configured()
    with pytest.raises(UsageError, match="no API server is known"):
        connect()
    (no_surroundings / ".kube").mkdir()
    kubeconfig(no_surroundings / ".kube/config", 1001)
    assert config.is_configured()
    assert connect().server == "http://127.0.0.1:1001"
    monkeypatch.setenv("KUBECONFIG", f"/missing:{kubeconfig(no_surroundings / 'other', 1002)}")
    assert connect().server == "http://127.0.0.1:1002"
    named = kubeconfig(no_surroundings / "named", 1003)
    assert connect(Choice(named)).server == "http://127.0.0.1:1003"
    assert connect(Choice(named, "nowhere")).server == "http://127.0.0.1:1"


@pytest.mark.parametrize("content", [None, "", "a: [", "[]", "{}", "clusters: 3", "kind: Config\ncontexts: []"])
def test_a_bad_kubeconfig_is_wrong_use(no_surroundings: Path, content: str | None) -> None:
    """Its name is in the message."""
    path = no_surroundings / "bad"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match="bad"):
        connect(Choice(path))
    with pytest.raises(UsageError, match="not-there"):
        connect(Choice(kubeconfig(no_surroundings / "good", 1), "not-there"))


def test_a_renewed_token_is_used(no_surroundings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kubelet renews the file; a minute later every request has the new token. While it is gone: unreachable."""
    token, authority = no_surroundings / "token", no_surroundings / "ca.crt"
    token.write_text("first")
    authority.write_text("x")
    monkeypatch.setattr(config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    api = connect()
    assert api.server == "https://[fd00::1]:443"
    token.write_text("second")
    assert api.credentials() == {"authorization": "bearer first"}
    _later(monkeypatch, 61)
    assert api.credentials() == {"authorization": "bearer second"}
    _later(monkeypatch, 200)
    token.unlink()
    with pytest.raises(Unreachable, match="No such file"):
        api.credentials()


def _later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The client's clock, moved on."""
    now = datetime.now() + timedelta(seconds=seconds)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now

    monkeypatch.setattr("kubernetes.config.incluster_config.datetime.datetime", Clock)


def test_dead_peers_are_noticed(tmp_path: Path) -> None:
    """A watch may be silent for minutes, so its socket asks whether the other side lives."""
    with api_server(tmp_path) as (server, api):
        server.script = [watched(then="hang")]
        stream = api.stream(PATH, {}, 5, 5)
        connected = stream._response.connection.sock  # type: ignore[union-attr]
        assert {option: connected.getsockopt(level, option) for level, option, _ in config.KEEPALIVE} == {
            option: value for _, option, value in config.KEEPALIVE
        }
        stream.close()
