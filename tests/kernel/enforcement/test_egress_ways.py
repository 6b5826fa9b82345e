"""`network.egress` by every way to send that is not connect() and sendto() of an ordinary address."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.echo import Peers
from tests.kernel.enforcement.programs import compiled

OPEN, CLOSED = "9000", "9001"
LOOPBACK = ("127.0.0.1/32", "::1/128")
TO_NONE = ("tcp-to-none", "tcp6-to-none", "udp-to-none", "udp6-to-none")
WAYS = [
    *("tcp", "tcp6", "udp", "udp6", "multipath", "fast-open", "fast-open-connect", "unspecified", "unspecified6"),
    *(*TO_NONE, "reconnected", "many", "with-options", "in-pieces"),
]
IPV4_PACKETS = 0x0800


def rules(action: str, cidrs: Sequence[str] = LOOPBACK, *, default: str = "Allow", rest: str = "") -> str:
    """A rule on some addresses."""
    to = ", ".join(f'{{cidr: "{cidr}"}}' for cidr in cidrs)
    return policy(f"""
  network:
    egress:
      default: {default}
      rules: [{{name: r, action: {action}, to: [{to}]{rest}}}]
""")


def at(port: str) -> str:
    """Of that port."""
    return f", ports: [{{port: {port}}}, {{protocol: UDP, port: {port}}}]"


def said(box: Box, act: str, port: str, *more: str, program: str = "") -> list[str]:
    """What the program said came of it."""
    return box.run(program or str(compiled("sender")), act, port, *more).out.split()


def refused(box: Box, ways: Sequence[str], port: str, program: str = "") -> list[str]:
    """Those ways to send to a port that fail with EPERM; the others must have an answer."""
    told = {way: said(box, way, port, OPEN, program=program) for way in ways}
    assert {result for results in told.values() for result in results} <= {"ok", "EPERM"}, told
    return [way for way, results in told.items() if results == ["EPERM"]]


def test_no_way_of_sending_helps(bench: Bench, peers: Peers) -> None:
    """Each is refused at once where its port is denied, and arrives at the port beside it or without the rule."""
    with bench.box(rules("Deny", rest=at(CLOSED))) as box:
        assert refused(box, WAYS, CLOSED) == WAYS
        assert {each["rule"] for each in box.violations()} == {"r"}
        assert refused(box, WAYS, OPEN) == []
        assert box.violations() == []
    with bench.box(rules("Deny", ["10.0.0.0/8"])) as box:
        assert refused(box, WAYS, CLOSED) == []


def has_udp_lite() -> bool:
    """Later kernels than 6.12 have none."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDPLITE).close()
    except OSError:
        return False
    return True


def test_packets_whose_ports_are_not_known(bench: Bench) -> None:
    """UDP-Lite, extension headers of IPv6: a rule on ports of UDP holds for all of them, to that address."""
    ways = ["routing-header", *(["udp-lite"] if has_udp_lite() else [])]
    with bench.box(rules("Deny", rest=at(CLOSED))) as box:
        assert refused(box, ways, OPEN) == ways
    with bench.box(rules("Deny", ["127.0.0.2/32", "::2/128"], rest=at(CLOSED))) as box:
        assert refused(box, ways, CLOSED) == []


@pytest.mark.parametrize("act", ["connect", "send", "async-connect", "async-send"])
def test_by_a_ring(bench: Bench, peers: Peers, act: str) -> None:
    """io_uring connects and sends as whoever has the ring, also in its workers."""
    ring = str(compiled("ring"))
    with bench.box(rules("Deny", rest=at(CLOSED))) as box:
        assert box.run(ring, act, CLOSED).denied
        assert box.run(ring, act, OPEN).status == 0
    with bench.box(rules("Kill", rest=at(CLOSED))) as box:
        assert box.run(ring, act, CLOSED).status in (-9, 137)
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}


def test_kill_by_whatever_way(bench: Bench, peers: Peers) -> None:
    """Whoever connects or sends a datagram is ended, and nobody else."""
    ways = ["tcp", "udp", "fast-open", "unspecified", "unspecified6", *TO_NONE, "multipath", "reconnected", "many"]
    sender = str(compiled("sender"))
    with bench.box(rules("Kill", rest=at(CLOSED))) as box:
        assert [way for way in ways if box.run(sender, way, CLOSED, OPEN).status not in (-9, 137)] == []
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}
        assert refused(box, ways, OPEN) == []


def test_an_allow_list_of_this_machine(bench: Bench, peers: Peers) -> None:
    """No address is this machine's, for those who may talk to that."""
    with bench.box(rules("Allow", default="Deny")) as box:
        assert refused(box, WAYS, CLOSED) == []
    with bench.box(rules("Allow", ["10.0.0.0/8"], default="Deny")) as box:
        assert refused(box, WAYS, CLOSED) == WAYS


@pytest.fixture
def answering() -> Iterator[None]:
    """Whoever is root may ping."""
    setting = Path("/proc/sys/net/ipv4/ping_group_range")
    before = setting.read_text()
    setting.write_text("0 0")
    yield
    setting.write_text(before)


@pytest.mark.parametrize("rest", ["", ', by: ["/**"]'])
def test_a_ping_is_no_datagram_of_udp(bench: Bench, answering: None, rest: str) -> None:
    """A rule on UDP neither ends nor refuses a ping, one on every protocol does."""
    for action in ("Deny", "Kill"):
        with bench.box(rules(action, rest=f", ports: [{{protocol: UDP}}]{rest}")) as box:
            assert said(box, "ping", "0") == ["ok"]
            assert said(box, "ping", CLOSED) == ["ok"]
        with bench.box(rules(action, rest=rest)) as box:
            assert said(box, "ping", "0") == (["EPERM"] if action == "Deny" else [])


@dataclass(frozen=True)
class Programs:
    """Two that are alike but for their paths."""

    web: str
    other: str


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Copies."""
    for name in ("web", "other"):
        shutil.copy(compiled("sender"), tmp_path / name)
    return Programs(str(tmp_path / "web"), str(tmp_path / "other"))


def test_each_way_is_by_program(bench: Bench, peers: Peers, programs: Programs) -> None:
    """The program that a rule excepts sends as it likes, others do not. Of MPTCP's packets the sender is not known."""
    ways = [way for way in WAYS if way != "multipath"]
    with bench.box(rules("Deny", rest=f'{at(CLOSED)}, by: ["!{programs.web}"]')) as box:
        assert refused(box, ways, CLOSED, programs.web) == []
        assert refused(box, WAYS, CLOSED, programs.other) == WAYS
        assert refused(box, WAYS, OPEN, programs.other) == []


@pytest.mark.parametrize("way", ["udp", "udp6", "unspecified", "unspecified6", "named"])
def test_a_socket_that_a_trusted_program_left(bench: Bench, peers: Peers, programs: Programs, way: str) -> None:
    """Whoever goes on with it is judged as itself, by where the packet goes and not by what it says beside that."""
    ports = (OPEN, CLOSED) if way == "named" else (CLOSED, OPEN)  # a stream goes where it was connected to
    with bench.box(rules("Deny", rest=f'{at(CLOSED)}, by: ["!{programs.web}"]')) as box:
        for program, expected in ((programs.web, "ok"), (programs.other, "EPERM")):
            assert said(box, "leave", *ports, program, way, program=programs.web) == ["ok", expected]


@contextlib.contextmanager
def watching() -> Iterator[socket.socket]:
    """Sees all packets of IPv4 on the loopback device."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(IPV4_PACKETS)) as watcher:
        watcher.bind(("lo", IPV4_PACKETS))
        watcher.setblocking(False)
        yield watcher


def destinations(watcher: socket.socket) -> set[str]:
    """Where packets went since."""
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            found.add(socket.inet_ntoa(watcher.recv(65536)[16:20]))
    return found


def test_a_connection_goes_no_other_way(bench: Bench, peers: Peers) -> None:
    """Source routing puts another address into the header of a connection's packets: that one is judged."""
    with bench.box(rules("Deny", ["127.0.0.9/32"])) as box, watching() as watcher:
        for way in ("127.0.0.8", "127.0.0.9"):
            assert said(box, "source-route", CLOSED, way) == ["ok"]  # the stream takes it, and tries again and again
        assert destinations(watcher) == {"127.0.0.1", "127.0.0.8"}
        assert {each["object"] for each in box.violations()} == {f"127.0.0.9:{CLOSED}/tcp"}


def test_an_address_that_netfilter_puts_into_the_packet(bench: Bench) -> None:
    """Whoever rules a network namespace has another address put into what leaves: that one is judged."""
    script = """
ip link set dev lo up
nft add table ip n
nft 'add chain ip n out { type nat hook output priority -100; }'
nft add rule ip n out ip daddr 127.0.0.1 dnat to 127.0.0.9
echo x > /dev/udp/127.0.0.1/9001
"""
    command = ("unshare", "--net", "/bin/bash", "-ec", script)
    with bench.box(rules("Deny", ["127.0.0.8/32"])) as box:
        assert box.run(*command).status == 0
    with bench.box(rules("Deny", ["127.0.0.9/32"])) as box:
        assert box.run(*command).denied
        assert [each["object"] for each in box.violations()] == [f"127.0.0.9:{CLOSED}/udp"]
