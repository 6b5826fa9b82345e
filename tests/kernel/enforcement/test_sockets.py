"""`network.sockets`: making one, by family and type."""

from __future__ import annotations

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy

# (AF_*, SOCK_*, IPPROTO_*), as numbers: they are written into programs.
PACKET_RAW = (17, 3, 0)
INET_STREAM = (2, 1, 0)
INET_RAW = (2, 3, 1)
INET6_DGRAM = (10, 2, 0)
UNIX_STREAM = (1, 1, 0)
NETLINK_RAW = (16, 3, 0)
UNNAMED = (33, 2, 0)  # AF_RXRPC: no name in policies, and perhaps not in the kernel
OBSOLETE_PACKET = (2, 10, 0)  # SOCK_PACKET: the kernel makes it one of AF_PACKET
SMC_AS_INET = (2, 1, 256)  # IPPROTO_SMC: the same socket as of AF_SMC
VSOCK_STREAM = (40, 1, 0)
EVERY = [
    *(PACKET_RAW, INET_STREAM, INET_RAW, INET6_DGRAM, UNIX_STREAM, NETLINK_RAW),
    *(UNNAMED, OBSOLETE_PACKET, SMC_AS_INET, VSOCK_STREAM),
]

MAKE = """
import errno, socket
for kind in {kinds}:
    try:
        socket.socket(*kind).close()
        print("made")
    except OSError as error:
        print("denied" if error.errno == errno.EPERM else "made")
"""


def rules(text: str, default: str = "Allow", mode: str = "Enforce") -> str:
    """A section."""
    return policy(f"  mode: {mode}\n  network: {{sockets: {{default: {default}, rules: [{text}]}}}}\n")


def denied(box: Box) -> list[tuple[int, int, int]]:
    """Which of EVERY fail with EPERM."""
    done = box.run("/usr/bin/python3", "-I", "-S", "-c", MAKE.format(kinds=EVERY))
    assert done.status == 0, done.err
    return [kind for kind, said in zip(EVERY, done.out.split(), strict=True) if said == "denied"]


@pytest.mark.parametrize(
    ("text", "expected", "objects"),
    [
        ("{action: Deny, families: [bluetooth]}", [], set()),
        ("{action: Deny, families: [packet]}", [PACKET_RAW, OBSOLETE_PACKET], {"packet/raw", "packet/packet"}),
        (
            "{action: Deny, types: [raw]}",
            [PACKET_RAW, INET_RAW, NETLINK_RAW],
            {"packet/raw", "inet/raw", "netlink/raw"},
        ),
        ("{action: Deny, families: [inet, packet], types: [raw]}", [PACKET_RAW, INET_RAW], {"packet/raw", "inet/raw"}),
        ("{action: Deny, families: [smc, vsock]}", [SMC_AS_INET, VSOCK_STREAM], {"smc/stream", "vsock/stream"}),
        ("{action: Deny, families: [inet6, unix]}", [INET6_DGRAM, UNIX_STREAM], {"inet6/dgram", "unix/stream"}),
    ],
)
def test_families_and_types(bench: Bench, text: str, expected: list[tuple[int, int, int]], objects: set[str]) -> None:
    """A rule matches where one of its families and one of its types do; all others are made as before."""
    with bench.box(rules(text)) as box:
        assert denied(box) == expected
        told = box.violations()
    assert {each["object"] for each in told} == objects
    assert {(each["operation"], each["verdict"]) for each in told} <= {("Socket", "DENIED")}


def test_an_allow_list_holds_for_families_without_a_name(bench: Bench) -> None:
    """default Deny: what no rule allows is denied, by number, too."""
    with bench.box(rules("{action: Allow, families: [inet, unix], types: [stream]}", "Deny")) as box:
        assert denied(box) == [kind for kind in EVERY if kind not in (INET_STREAM, UNIX_STREAM)]
        assert "33/dgram" in {each["object"] for each in box.violations()}


def test_a_pair_of_sockets_is_made_like_one(bench: Bench) -> None:
    """socketpair(2) comes to the same; pipes are something else."""
    pair = "import socket; socket.socketpair()"
    with bench.box(rules("{action: Deny, families: [unix]}")) as box:
        assert "Operation not permitted" in box.run("/usr/bin/python3", "-I", "-S", "-c", pair).err
        assert box.sh("echo x | cat").out == "x\n"
    with bench.box(rules("{action: Deny, families: [inet]}")) as box:
        assert box.run("/usr/bin/python3", "-I", "-S", "-c", pair).status == 0


def test_kill_and_audit(bench: Bench) -> None:
    """Kill ends the process; Audit and mode Audit only tell."""
    make = f"import socket; socket.socket(*{PACKET_RAW})"
    with bench.box(rules("{action: Kill, families: [packet]}")) as box:
        assert box.run("/usr/bin/python3", "-I", "-S", "-c", make).status in (-9, 137)
        assert [each["verdict"] for each in box.violations()] == ["KILLED"]
    for text, verdict in (
        (rules("{action: Audit, families: [packet]}"), "AUDITED"),
        (rules("{action: Deny, families: [packet]}", mode="Audit"), "WOULD_DENY"),
    ):
        with bench.box(text) as box:
            assert box.run("/usr/bin/python3", "-I", "-S", "-c", make).status == 0
            assert [each["verdict"] for each in box.violations()] == [verdict]
