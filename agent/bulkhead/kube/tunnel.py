"""One connection to a port of a pod: a WebSocket to the API server, on which each message begins with its channel.

Channel 0 carries bytes, channel 1 what went wrong; the first message on each repeats the port. One thread does both
directions, because TLS connections are not made for two. Next step on the other side: the kubelet.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
from typing import Any, cast

import websocket
from kubernetes.stream.ws_client import create_websocket

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.config import KEEPALIVE
from bulkhead.kube.errors import no_answer, refusal
from bulkhead.kube.wording import reason_of

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
READ_BYTES = 1 << 16


class Tunnel:
    """To `port` of a pod; connects when entered."""

    def __init__(self, api: Api, namespace: str, pod: str, port: int) -> None:
        self._api, self._port = api, port
        self._path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
        self._about = f"port {port} of pod {namespace}/{pod}"
        self._greeted: set[int] = set()
        self._socket: Any = None  # websocket-client has no types

    def __enter__(self) -> Tunnel:
        """Connects. Raises `ApiRefused`, `Unreachable`."""
        url = "ws" + self._api.url(self._path, {"ports": str(self._port)}).removeprefix("http")
        headers = {**self._api.credentials(), "sec-websocket-protocol": PROTOCOL}
        try:
            self._socket = cast(Any, create_websocket)(self._api.configuration, url, headers)
        except websocket.WebSocketBadStatusException as error:
            raise refusal(self._about, error.status_code, _message(error.resp_body)) from error
        except (websocket.WebSocketException, OSError) as error:
            raise no_answer(self._about, reason_of(error)) from error
        for option in KEEPALIVE:
            self._socket.sock.setsockopt(*option)
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection, without waiting for an answer."""
        try:
            self._socket.send_close()
        except (websocket.WebSocketException, OSError):
            pass  # it is closed already
        finally:
            self._socket.shutdown()

    def carry(self, local: socket.socket) -> None:
        """Bytes in both directions until either side ends. Raises `Unreachable` where the pod's side says why."""
        remote = self._socket.sock
        while True:
            is_waiting = isinstance(remote, ssl.SSLSocket) and remote.pending() > 0
            readable, _, _ = select.select([local, remote], [], [], 0 if is_waiting else None)
            try:
                if (is_waiting or remote in readable) and not self._receive(local):
                    return
                if local in readable and not self._send(local):
                    return
            except (websocket.WebSocketConnectionClosedException, ConnectionError):
                return  # as connections end
            except (websocket.WebSocketException, OSError) as error:
                raise no_answer(self._about, reason_of(error)) from error

    def _send(self, local: socket.socket) -> bool:
        """From here to the pod. False at the end."""
        content = local.recv(READ_BYTES)
        if content:
            self._socket.send_binary(bytes([DATA]) + content)
        return bool(content)

    def _receive(self, local: socket.socket) -> bool:
        """One message from the pod. False at the end."""
        kind, content = self._socket.recv_data()
        if kind == websocket.ABNF.OPCODE_CLOSE:
            return False
        if not content:
            return True
        channel, content = content[0], content[1:]
        if channel not in self._greeted:
            self._greeted.add(channel)
        elif channel == ERROR:
            raise Unreachable(f"{self._about}: {content.decode(errors='replace').strip()}")
        elif channel == DATA:
            local.sendall(content)
        return True


def _message(body: bytes | None) -> str:
    """What a Status object says, or what else was answered."""
    try:
        return str(json.loads(body or b"").get("message", ""))
    except (ValueError, AttributeError):
        return (body or b"").decode(errors="replace").strip() or "no reason given"
