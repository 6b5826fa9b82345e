"""A small API server for tests: real HTTP on a real socket, answers from a script, one step a request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bulkhead.kube.client import Api, connect
from bulkhead.kube.kubeconfig import Choice

Answer = Callable[["Handler"], None]
END_MARK = {"k8s.io/initial-events-end": "true"}


class Handler(BaseHTTPRequestHandler):
    """Does what the script says next."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Any method: note the request, take the next step."""
        self.query = dict(parse_qsl(urlsplit(self.path).query))
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.command, urlsplit(self.path).path, self.query, body))
        self.server.headers.append(dict(self.headers))
        answer = self.server.script.pop(0) if self.server.script else refused(500, "the script is over")
        answer(self)

    do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815  # http.server wants these names

    def log_message(self, *_: object) -> None:
        """Silence."""

    def json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        """A whole answer."""
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(content))}.items():
            self.send_header(name, text)
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def chunk(self, content: bytes) -> None:
        """A part of an answer without end."""
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    """Its script and what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._connections: list[socket.socket] = []
        self.script: list[Answer] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.headers: list[dict[str, str]] = []
        self.over = threading.Event()

    def get_request(self) -> tuple[socket.socket, Any]:
        """A connection, remembered."""
        connection, address = super().get_request()
        self._connections.append(connection)
        return connection, address

    def cut(self) -> None:
        """Lose all connections."""
        for connection in self._connections:
            if connection.fileno() >= 0:
                connection.shutdown(socket.SHUT_RDWR)
        self._connections.clear()

    def handle_error(self, *_: object) -> None:
        """A client that went away is what some tests are about."""


@contextmanager
def api_server(folder: Path, token: str = "", port: int = 0) -> Iterator[tuple[Server, Api]]:
    """A running server, and what `connect` makes of a kubeconfig for it."""
    server = Server(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server, connect(Choice(kubeconfig(folder / "kubeconfig", server.server_port, token)))
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(path: Path, port: int, token: str = "") -> Path:
    """A kubeconfig with the contexts `here`, the current one, and `nowhere`."""
    clusters = [
        {"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}},
        {"name": "nowhere", "cluster": {"server": "http://127.0.0.1:1"}},
    ]
    contexts = [{"name": each["name"], "context": {"cluster": each["name"], "user": "me"}} for each in clusters]
    users = [{"name": "me", "user": {"token": token} if token else {}}]
    kind = {"apiVersion": "v1", "kind": "Config", "current-context": "here"}
    path.write_text(json.dumps(kind | {"clusters": clusters, "contexts": contexts, "users": users}))
    return path


def thing(name: str, version: int, **metadata: object) -> dict[str, Any]:
    """An object."""
    return {
        "kind": "Thing",
        "metadata": {"name": name, "namespace": "shop", "resourceVersion": str(version), **metadata},
    }


def added(name: str, version: int) -> dict[str, Any]:
    """An event."""
    return {"type": "ADDED", "object": thing(name, version)}


def modified(name: str, version: int) -> dict[str, Any]:
    """An event."""
    return {"type": "MODIFIED", "object": thing(name, version)}


def deleted(name: str, version: int) -> dict[str, Any]:
    """An event."""
    return {"type": "DELETED", "object": thing(name, version)}


def bookmark(version: int, complete: bool = False) -> dict[str, Any]:
    """A bookmark; `complete`: everything there is has been told."""
    marks: dict[str, object] = {"annotations": END_MARK} if complete else {}
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version), **marks}}}


def failing(code: int, message: str, retry_s: int = 0) -> dict[str, Any]:
    """An error within a watch."""
    details = {"details": {"retryAfterSeconds": retry_s}} if retry_s else {}
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "message": message, **details}}


def refused(status: int, message: str, **headers: str) -> Answer:
    """An answer with a Status; headers are written with _ for -."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.json(status, {"kind": "Status", "message": message}, names)


def answered(value: object) -> Answer:
    """A plain answer."""
    return lambda handler: handler.json(200, value)


def listed(names: list[str], version: int, more: str = "") -> Answer:
    """A page of a list of things."""
    metadata = {"resourceVersion": str(version), **({"continue": more} if more else {})}
    items = [{"metadata": thing(name, version)["metadata"]} for name in names]
    return answered({"kind": "ThingList", "apiVersion": "example/v1", "metadata": metadata, "items": items})


def babble(handler: Handler) -> None:
    """No HTTP at all."""
    handler.wfile.write(b"?\r\n")
    handler.close_connection = True


def silent(handler: Handler) -> None:
    """No answer, and no end of the connection either."""
    handler.server.over.wait()
    handler.close_connection = True


def watched(*events: dict[str, Any], then: str = "end", raw: bytes = b"") -> Answer:
    """A watch that tells `events` and `raw`, then ends, loses the connection ("cut") or stays silent ("hang")."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for event in events:
            handler.chunk(json.dumps(event).encode() + b"\n")
        if raw:
            handler.chunk(raw)
        if then == "hang":
            handler.server.over.wait()
        if then == "end":
            handler.chunk(b"")
        handler.close_connection = then != "end"

    return answer
