"""`network.egress`: by address and port, at connect() and on packets, IPv4 and IPv6, TCP and UDP."""

from __future__ import annotations

import socket
import sys

import pytest

from tests.kernel.enforcement.box import Bench, policy
from tests.kernel.enforcement.echo import ECHO, TRY, Peers


def deny(cidr: str, ports: str, action: str = "Deny") -> str:
    """One rule."""
    return policy(f"""
  network:
    egress:
      rules:
      - {{name: r, action: {action}, to: [{{cidr: "{cidr}"}}], ports: [{ports}]}}
""")


@pytest.mark.parametrize(("host", "cidr"), [("127.0.0.1", "127.0.0.1/32"), ("::1", "::1/128")])
@pytest.mark.parametrize("kind", ["tcp", "udp", "connected-udp"])
def test_a_denied_port_is_refused_at_once_and_its_neighbour_answers(
    bench: Bench, peers: Peers, host: str, cidr: str, kind: str
) -> None:
    """EPERM for the port of the rule; the other port, and the same port by the other protocol, go on working."""
    protocol = "TCP" if kind == "tcp" else "UDP"
    allowed, denied = peers.ports
    with bench.box(deny(cidr, f"{{protocol: {protocol}, port: {denied}}}")) as box:
        assert peers.attempt(box, kind, host, denied).denied
        (violation,) = box.violations()
        assert peers.attempt(box, kind, host, allowed).out == "ok\n"
        assert peers.attempt(box, "udp" if kind == "tcp" else "tcp", host, denied).out == "ok\n"
        assert box.violations() == []
    shown = f"[{host}]" if ":" in host else host
    assert (violation["operation"], violation["rule"]) == ("Egress", "r")
    assert violation["object"] == f"{shown}:{denied}/{protocol.lower()}"


def test_an_allow_list_with_an_exception(bench: Bench, peers: Peers) -> None:
    """default Deny: only what a rule allows, less its exceptions."""
    text = policy("""
  network:
    egress:
      default: Deny
      rules:
      - name: local
        action: Allow
        to: [{cidr: 127.0.0.0/8, except: [127.0.0.2/32]}]
        ports: [{protocol: TCP, port: 9000, endPort: 9000}]
""")
    with bench.box(text) as box:
        assert peers.attempt(box, "tcp", "127.0.0.1", 9000).out == "ok\n"
        assert peers.attempt(box, "tcp", "127.0.0.1", 9001).denied
        assert peers.attempt(box, "udp", "127.0.0.1", 9000).denied
        assert peers.attempt(box, "tcp", "127.0.0.2", 9000).denied
        assert peers.attempt(box, "tcp", "::1", 9000).denied


def test_mapped_addresses_are_ipv4(bench: Bench, peers: Peers) -> None:
    """::ffff:127.0.0.1 is 127.0.0.1."""
    with bench.box(deny("127.0.0.1/32", "{protocol: TCP, port: 9001}")) as box:
        assert peers.attempt(box, "tcp", "::ffff:127.0.0.1", 9001).denied
        assert peers.attempt(box, "tcp", "::ffff:127.0.0.1", 9000).out == "ok\n"


@pytest.mark.parametrize("kind", ["tcp", "udp", "connected-udp"])
def test_kill_ends_the_process(bench: Bench, peers: Peers, kind: str) -> None:
    """Action Kill: SIGKILL before anything leaves."""
    protocol = "TCP" if kind == "tcp" else "UDP"
    with bench.box(deny("127.0.0.1/32", f"{{protocol: {protocol}, port: 9001}}", "Kill")) as box:
        assert peers.attempt(box, kind, "127.0.0.1", 9001).status in (-9, 137)
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}
        assert peers.attempt(box, kind, "127.0.0.1", 9000).out == "ok\n"


@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_audit_reports_and_lets_through(bench: Bench, peers: Peers, kind: str) -> None:
    """Action Audit: the peer answers, and the violation says AUDITED."""
    protocol = kind.upper()
    with bench.box(deny("127.0.0.1/32", f"{{protocol: {protocol}, port: 9001}}", "Audit")) as box:
        assert peers.attempt(box, kind, "127.0.0.1", 9001).out == "ok\n"
        assert {each["verdict"] for each in box.violations()} == {"AUDITED"}


def test_an_open_connection_is_cut_when_the_policy_forbids_it(bench: Bench, peers: Peers) -> None:
    """An allowed connection is cut at its next packet under a stricter policy; the neighbour's is not."""
    script = TRY.replace(
        'print("ok")',
        """
import time
print("up", flush=True)
sys.stdin.readline()
s.settimeout(3)
try:
    s.sendall(b"y"); print("echo" if s.recv(1) == b"y" else "closed", flush=True)
except OSError as error:
    print("cut", flush=True)
""",
    )
    with bench.box(deny("10.0.0.0/8", "{protocol: TCP, port: 1}")) as box:
        running = []
        for port in peers.ports:
            argv = [sys.executable, "-S", "-c", script, str(int(socket.AF_INET)), "tcp", "127.0.0.1", str(port)]
            running.append(box.start(*argv))
        for each in running:
            assert each.stdout
            assert each.stdout.readline() == "up\n"
        box.apply(deny("127.0.0.1/32", "{protocol: TCP, port: 9001}"))
        answers = [each.communicate("go\n", timeout=60)[0] for each in running]
    assert answers == ["echo\n", "cut\n"]


def test_a_server_in_the_box_answers_under_default_deny(bench: Bench) -> None:
    """Segments of a connection that the peer opened are not judged as egress of their own."""
    with bench.box(policy("  network: {egress: {default: Deny}}")) as box:
        server = box.start(sys.executable, "-S", "-c", ECHO, str(int(socket.AF_INET)), "127.0.0.1", "9100")
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            with socket.create_connection(("127.0.0.1", 9100), timeout=20) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
        finally:
            server.kill()
            server.wait()


RAW = """
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
s.sendto(struct.pack("!HHLLBBHHH", 4000, int(sys.argv[1]), 0, 0, 5 << 4, 0x10, 1000, 0, 0), ("127.0.0.1", 0))
print("sent")
"""


def test_a_raw_socket_is_no_connection(bench: Bench, peers: Peers) -> None:
    """A segment made by hand, without SYN, belongs to no connection that was judged: it is judged itself."""
    with bench.box(deny("127.0.0.1/32", "{protocol: TCP, port: 9001}")) as box:
        assert box.run(sys.executable, "-S", "-c", RAW, "9001").denied
        assert box.run(sys.executable, "-S", "-c", RAW, "9000").out == "sent\n"
        assert peers.attempt(box, "tcp", "127.0.0.1", 9000).out == "ok\n"
