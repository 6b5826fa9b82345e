"""Echo servers outside the box, for TCP and UDP, and a program that talks to them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from tests.kernel.enforcement.box import Box, Done

TRY = """
import socket, sys
family, kind, host, port = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
s = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(10)
if kind == "tcp":
    s.connect((host, port)); s.sendall(b"x"); assert s.recv(1) == b"x"
elif kind == "udp":
    s.sendto(b"x", (host, port)); assert s.recv(1) == b"x"
else:
    s.connect((host, port)); s.send(b"x"); assert s.recv(1) == b"x"
print("ok")
"""
ECHO = """
import socket, sys, threading
family, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
tcp = socket.create_server((host, port), family=family)
udp = socket.socket(family, socket.SOCK_DGRAM); udp.bind((host, port))
def answer(c):
    while (data := c.recv(100)): c.sendall(data)
def accept():
    while True:
        c, _ = tcp.accept(); threading.Thread(target=answer, args=(c,), daemon=True).start()
threading.Thread(target=accept, daemon=True).start()
print("ready", flush=True)
while True:
    data, peer = udp.recvfrom(100); udp.sendto(data, peer)
"""


@dataclass(frozen=True)
class Peers:
    """Two ports on each address."""

    ports: tuple[int, int]

    def attempt(self, box: Box, kind: str, host: str, port: int) -> Done:
        """Talk to one of them from the box."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return box.run(sys.executable, "-S", "-c", TRY, str(int(family)), kind, host, str(port))


@contextlib.contextmanager
def serving() -> Iterator[Peers]:
    """Servers in processes of their own, ended by id."""
    ports = (9000, 9001)
    running = []
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for port in ports:
            command = [sys.executable, "-S", "-c", ECHO, str(int(family)), host, str(port)]
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    for server in running:
        assert server.stdout
        assert server.stdout.readline() == "ready\n"
    yield Peers(ports)
    for server in running:
        server.kill()
        server.wait()
