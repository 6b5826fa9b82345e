"""A local port that leads to a port of a pod, by way of the API server: what `kubectl port-forward` does, in-process.

Each local connection is one WebSocket to the API server, to a pod that is Ready at that moment: when the pod has been
replaced, the next connection goes to the new one. Next step: `kube.pods` chooses it, `kube.tunnel` carries the bytes.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.pods import PodChoice, ready_pod
from bulkhead.kube.tunnel import Tunnel

JOIN_S = 2.0


@contextmanager
def forward_to(api: Api, choice: PodChoice, port: int, notice: Callable[[str], None]) -> Iterator[str]:
    """Yields "127.0.0.1:PORT", which leads to `port` of the pod until the context ends.

    `notice` is told, from other threads, why a connection could not be made, each reason once in a row. Raises
    `Unreachable` at the start where there is no pod to connect to.
    """
    ready_pod(api, choice)
    forwarding = Forwarding(api, choice, port, notice)
    try:
        yield forwarding.address
    finally:
        forwarding.end()


class Forwarding:
    """Listens, and carries each connection in a thread of its own."""

    def __init__(self, api: Api, choice: PodChoice, port: int, notice: Callable[[str], None]) -> None:
        self._api, self._choice, self._port, self._notice = api, choice, port, notice
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._ending = False
        self._told = ""  # why the last connection could not be made
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept, name="port-forward", daemon=True)
        self._accepting.start()

    def end(self) -> None:
        """Ends all connections and threads."""
        with self._lock:
            self._ending = True
            carrying = list(self._open.items())
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        for local, _ in carrying:
            _shut(local)
        for thread in (self._accepting, *(thread for _, thread in carrying)):
            thread.join(JOIN_S)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ending:
            try:
                local, _ = self._listener.accept()
            except OSError:
                return  # it was ended
            thread = threading.Thread(target=self._carry, args=(local,), name="port-forward-connection", daemon=True)
            with self._lock:
                if self._ending:
                    local.close()
                    return
                self._open[local] = thread
            thread.start()

    def _carry(self, local: socket.socket) -> None:
        """One connection, to its end."""
        try:
            with Tunnel(self._api, self._choice.namespace, ready_pod(self._api, self._choice), self._port) as tunnel:
                self._told = ""
                tunnel.carry(local)
        except Unreachable as error:
            if not self._ending and str(error) != self._told:
                self._told = str(error)
                self._notice(self._told)
        finally:
            with self._lock:
                self._open.pop(local, None)
            _shut(local)
            local.close()


def _shut(local: socket.socket) -> None:
    try:
        local.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was first
