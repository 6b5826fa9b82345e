"""A way to the API server that can be cut, as when it restarts: a port on loopback that leads to another."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Relay:
    """Listens on `port`. While it is cut, connections are closed at once, and those there were are gone."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._carried: list[socket.socket] = []
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """From now on."""
        self._is_cut = True
        while self._carried:
            shut(self._carried.pop())

    def mend(self) -> None:
        """From now on connections are carried again."""
        self._is_cut = False

    def close(self) -> None:
        """Ends it."""
        self.cut()
        shut(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            self._carried += (here, there)
            for ends in ((here, there), (there, here)):
                threading.Thread(target=carry, args=ends, daemon=True).start()


def carry(source: socket.socket, target: socket.socket) -> None:
    """Bytes, until one side ends."""
    try:
        while content := source.recv(1 << 16):
            target.sendall(content)
    except OSError:
        pass
    finally:
        shut(source)
        shut(target)


def shut(end: socket.socket) -> None:
    """Whatever waits for it wakes up."""
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


@contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """For the length of a test."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.close()
