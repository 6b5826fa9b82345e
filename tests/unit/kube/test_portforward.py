"""A local port that leads into a pod, against a server that speaks WebSocket as the kubelet does."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkhead.errors import Unreachable
from bulkhead.kube.pods import PodChoice, ready_pod
from bulkhead.kube.portforward import forward_to
from tests.unit.kube.api_server import Answer, Handler, Server, answered, api_server, refused

CHOICE = PodChoice("shop", selector="app=web")
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
TIMEOUT_S = 10.0


def pod(name: str, ready: bool = True, waiting: str = "", **metadata: object) -> dict[str, Any]:
    """A pod of that name."""
    condition = {"type": "Ready", "status": str(ready)}
    containers = [{"state": {"waiting": {"reason": waiting}}}] if waiting else []
    status = {"phase": "Running", "conditions": [condition], "containerStatuses": containers}
    return {"metadata": {"name": name, **metadata}, "status": status}


def pods(*found: dict[str, Any]) -> Answer:
    """A list of them."""
    return answered({"kind": "PodList", "items": list(found)})


def frame(content: bytes, kind: int = 2) -> bytes:
    """A WebSocket message of a server."""
    size = len(content)
    length = bytes([size]) if size < 126 else struct.pack(">BH", 126, size)
    return bytes([0x80 | kind]) + length + content


def read_frame(handler: Handler) -> tuple[int, bytes]:
    """The next message of a client: kind and content."""
    first, second = handler.rfile.read(2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(handler.rfile.read(2 if size == 126 else 8), "big")
    mask, content = handler.rfile.read(4), handler.rfile.read(size)
    return first & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))


def tunnelled(behave: Callable[[Handler], None]) -> Answer:
    """Accepts a port-forward of port 7443 as the kubelet does, then behaves."""

    def answer(handler: Handler) -> None:
        key = handler.headers["Sec-WebSocket-Key"] + MAGIC
        handler.send_response(101)
        for name, value in {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key.encode()).digest()).decode(),
            "Sec-WebSocket-Protocol": handler.headers["sec-websocket-protocol"],
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        for channel in (0, 1):
            handler.wfile.write(frame(bytes([channel]) + struct.pack("<H", 7443)))
        behave(handler)
        handler.close_connection = True

    return answer


def shout(handler: Handler) -> None:
    """A pod that gives back what it gets, in capitals, until either side ends; and pings now and then."""
    while True:
        kind, content = read_frame(handler)
        if kind == 8 or content[1:] == b"bye":
            return
        if kind == 2:
            assert content[0] == 0
            handler.wfile.write(frame(b"ping", 9) + frame(b"\0" + content[1:].upper()))


def complain(handler: Handler) -> None:
    """A pod in which nobody listens."""
    handler.wfile.write(frame(b"\1connection refused\n"))


@contextmanager
def forwarded(folder: Path, *script: Answer) -> Iterator[tuple[Server, str, list[str]]]:
    """The server, the address and what was noticed."""
    notices: list[str] = []
    with api_server(folder, token="secret") as (server, api):
        server.script = list(script)
        with forward_to(api, CHOICE, 7443, notices.append) as address:
            yield server, address, notices


def connected(address: str) -> socket.socket:
    """A connection to it."""
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), TIMEOUT_S)


def test_bytes_go_both_ways(tmp_path: Path) -> None:
    """To the named port of the Ready pod, with our credentials; small and large; until the client ends it."""
    with forwarded(tmp_path, pods(pod("a")), pods(pod("a")), tunnelled(shout)) as (server, address, notices):
        with connected(address) as client, client.makefile("rb") as reader:
            for content in (b"x", b"hello" * 10_000):
                client.sendall(content)
                assert reader.read(len(content)) == content.upper()
        assert notices == []
    paths = [(path, query) for _, path, query, _ in server.requests]
    assert paths[0] == ("/api/v1/namespaces/shop/pods", {"labelSelector": "app=web"})
    assert paths[2] == ("/api/v1/namespaces/shop/pods/a/portforward", {"ports": "7443"})
    assert server.headers[2]["authorization"] == "Bearer secret"


def test_the_pods_end_is_the_clients_end(tmp_path: Path) -> None:
    """A connection that the pod closes is closed here."""
    script = (pods(pod("a")), pods(pod("a")), tunnelled(shout))
    with forwarded(tmp_path, *script) as (_, address, _), connected(address) as client:
        client.sendall(b"bye")
        assert client.recv(10) == b""


def test_each_connection_goes_to_a_pod_that_is_ready_then(tmp_path: Path) -> None:
    """After the first pod has gone, to the next; one that is going or not ready is not taken."""
    going, unready = pod("a", deletionTimestamp="2026-01-01T00:00:00Z"), pod("b", ready=False)
    script = (pods(pod("a")), pods(pod("a")), tunnelled(shout), pods(going, unready, pod("c")), tunnelled(shout))
    with forwarded(tmp_path, *script) as (server, address, _):
        for _ in range(2):
            with connected(address) as client:
                client.sendall(b"x")
                assert client.recv(10) == b"X"
                client.sendall(b"bye")
                assert client.recv(10) == b""
    assert [path.split("/")[6] for _, path, _, _ in server.requests if "portforward" in path] == ["a", "c"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ((pods(),), "namespace shop, pods with app=web: there is none"),
        ((pods(pod("a", False, "ImagePullBackOff")),), "none is ready: a is ImagePullBackOff"),
        ((pods(pod("a")), refused(403, "you?")), "port 7443 of pod shop/a: 403: you?"),
        ((pods(pod("a")), refused(404, "no such pod")), "port 7443 of pod shop/a: 404: no such pod"),
        ((pods(pod("a")), tunnelled(complain)), "port 7443 of pod shop/a: connection refused"),
    ],
)
def test_what_cannot_be_connected_is_closed_with_a_reason(
    tmp_path: Path, script: tuple[Answer, ...], words: str
) -> None:
    """The client sees the end of its connection, the notice says why; the next connection is tried anew."""
    with forwarded(tmp_path, pods(pod("a")), *script, pods(pod("a")), tunnelled(shout)) as (_, address, notices):
        with connected(address) as client:
            assert client.recv(10) == b""
        assert words in notices[0]
        with connected(address) as client:
            client.sendall(b"x")
            assert client.recv(10) == b"X"
    assert len(notices) == 1


def test_a_reason_is_told_once_in_a_row(tmp_path: Path) -> None:
    """Who tries again all the time reads it once; after a connection that was made it is news again."""
    gone = (pods(), pods(), pods(pod("a")), tunnelled(shout), pods())
    with forwarded(tmp_path, pods(pod("a")), *gone) as (_, address, notices):
        for content in (b"", b"", b"bye", b""):
            with connected(address) as client:
                client.sendall(content)
                assert client.recv(10) == b""
    assert len(notices) == 2


def test_no_pod_at_the_start_is_an_error(tmp_path: Path) -> None:
    """Before anything listens, with the namespace and the labels."""
    with api_server(tmp_path) as (server, api):
        server.script = [pods(pod("a", False)), pods()]
        with pytest.raises(Unreachable, match="a is not Ready"), forward_to(api, CHOICE, 1, print):
            pass
        with pytest.raises(Unreachable, match="namespace shop, pod db-0: there is none"):
            ready_pod(api, PodChoice("shop", pod="db-0"))
    assert server.requests[1][2] == {"fieldSelector": "metadata.name=db-0"}


def test_the_end_of_the_context_ends_connections_and_threads(tmp_path: Path) -> None:
    """Also of a connection in which nothing happens; nobody listens afterwards."""
    with api_server(tmp_path) as (server, api):
        during = set(threading.enumerate())
        server.script = [pods(pod("a")), pods(pod("a")), tunnelled(shout)]
        with forward_to(api, CHOICE, 7443, print) as address:
            client = connected(address)
            client.sendall(b"x")
            assert client.recv(10) == b"X"
        left = {each for each in set(threading.enumerate()) - during if each.name.startswith("port-forward")}
        assert left == set()
        assert client.recv(10) == b""
        client.close()
        with pytest.raises(ConnectionRefusedError):
            connected(address)
