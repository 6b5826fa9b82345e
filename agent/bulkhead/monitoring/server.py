"""Answers /healthz, /readyz and /metrics over HTTP, in threads, a few callers at a time.

The answers to the first two name each check and what is wrong, as Kubernetes' own programs do; 200 where all is well,
503 otherwise. There is no TLS and nobody has to say who they are: nothing that is told is a secret
(`monitoring.checks`, `monitoring.catalog`). Next step: the chart's probes and monitors ask.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, SHUT_RDWR, socket
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bulkhead.errors import UsageError
from bulkhead.log import get_log
from bulkhead.monitoring.checks import Check, Health
from bulkhead.monitoring.exposition import Exposition

CALLERS = 8  # a kubelet, two scrapers and a person; for one more the oldest has to go, so that nobody can block probes
SILENCE_S = 5.0  # a caller that says nothing for so long is sent away
PLAIN = "text/plain; charset=utf-8"

log = get_log()


class MonitoringServer:
    """Serves from the moment it is made until `close`. `address` is host:port; port 0 takes a free one.

    Raises `UsageError` where it cannot listen.
    """

    def __init__(self, address: str, exposition: Exposition, health: Health) -> None:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise UsageError(f"{address}: not host:port; nothing is served there")
        exposition.add_checks(health.ready)
        try:
            self._server = _Server(host.strip("[]"), int(port), _Answers(exposition, health))
        except (OSError, OverflowError) as error:
            raise UsageError(f"{address}: cannot listen there: {error}; nothing is served there") from error
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)
        self._thread.start()
        log.info("monitoring_started", listen=address, port=self.port)

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Answers:
    """What is said at each path: status, text, content type."""

    def __init__(self, exposition: Exposition, health: Health) -> None:
        self._exposition, self._health = exposition, health

    def of(self, path: str, accept: str) -> tuple[HTTPStatus, bytes, str]:
        """The answer."""
        if path == "/metrics":
            return HTTPStatus.OK, *self._exposition.text(accept)
        if path == "/healthz":
            return _report(self._health.alive)
        if path == "/readyz":
            return _report(self._health.ready)
        return HTTPStatus.NOT_FOUND, b"/healthz, /readyz, /metrics\n", PLAIN


def _report(checks: Iterable[Check]) -> tuple[HTTPStatus, bytes, str]:
    found = [(check.name, check.ask()) for check in checks]
    lines = [f"[-]{name} failed: {wrong}" if wrong else f"[+]{name} ok" for name, wrong in found]
    well = not any(wrong for _, wrong in found)
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "".join(f"{line}\n" for line in [*lines, "ok" if well else "failed"]).encode(), PLAIN


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # whoever reads slowly does not keep the program from ending

    def __init__(self, host: str, port: int, answers: _Answers) -> None:
        self.address_family = AF_INET6 if ":" in host else AF_INET
        self.answers = answers
        self._lock = threading.Lock()
        self._callers: deque[socket] = deque()
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own."""
        with self._lock, contextlib.suppress(OSError):
            self._callers.append(request)
            if len(self._callers) > CALLERS:
                self._callers.popleft().shutdown(SHUT_RDWR)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread."""
        super().process_request_thread(request, client_address)
        with self._lock, contextlib.suppress(ValueError):
            self._callers.remove(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that went away in the middle are no news."""
        error = sys.exception()
        if not isinstance(error, OSError):
            log.error("monitoring_answer_failed", error=repr(error))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout: ClassVar[float] = SILENCE_S
    server_version = "bulkhead"
    sys_version = ""

    def do_GET(self) -> None:
        """The answer."""
        status, text, content_type = self.server.answers.of(urlsplit(self.path).path, self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(text)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a probe every few seconds is no news."""
