"""Connecting or sending to a unix socket at a covered path is Write, whatever its kind and the name it goes by."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.programs import compiled

KINDS = {"stream": socket.SOCK_STREAM, "packets": socket.SOCK_SEQPACKET, "datagrams": socket.SOCK_DGRAM}
PEERS = """
import json, os, socket, sys
def attempt(act):
    try:
        act()
        return "done"
    except PermissionError as error:
        return os.strerror(error.errno)
TYPES = {"stream": socket.SOCK_STREAM, "packets": socket.SOCK_SEQPACKET, "datagrams": socket.SOCK_DGRAM}
def made(kind):
    return socket.socket(socket.AF_UNIX, TYPES[kind])
os.chdir(sys.argv[1])
told = {}
for path in sys.argv[2:]:
    kind = os.path.basename(path).split(".")[0]
    if kind == "datagrams":
        told[path + " sent"] = attempt(lambda: made(kind).sendto(b"x", path))
        told[path + " message"] = attempt(lambda: made(kind).sendmsg([b"x"], [], 0, path))
    told[path] = attempt(lambda: made(kind).connect(path))
print(json.dumps(told))
"""
# One peer goes on for as long as it is asked to.
LASTING = """
import os, socket, sys
peer = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + sys.argv[2]))
peer.connect(sys.argv[1])
print("connected", flush=True)
for line in sys.stdin:
    try:
        peer.send(b"x")
        print("sent", flush=True)
    except PermissionError as error:
        print(os.strerror(error.errno), flush=True)
"""
NAMELESS = """
import socket
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
one.send(b"x")
server = socket.socket(socket.AF_UNIX)
server.bind("\\0bulkhead-test")
server.listen()
socket.socket(socket.AF_UNIX).connect("\\0bulkhead-test")
"""
SERVER = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listening", flush=True)
sys.stdin.read()
"""
DENIED, DONE = os.strerror(1), "done"


def rule(paths: str, operations: str = "Write", rest: str = "") -> str:
    """A rule that denies."""
    return policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [{operations}], paths: ["{paths}"]{rest}}}]
""")


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    """covered/ is under the rule, free/ is the neighbour; both have a socket of each kind that somebody serves."""
    with contextlib.ExitStack() as served:
        for place in ("covered", "free"):
            (tmp_path / place).mkdir()
            for name, kind in KINDS.items():
                server = served.enter_context(socket.socket(socket.AF_UNIX, kind))
                server.bind(str(tmp_path / place / name))
                if kind != socket.SOCK_DGRAM:
                    server.listen(100)
        yield tmp_path


def peers(box: Box, tree: Path, paths: Sequence[object]) -> dict[str, str]:
    """What comes of each act on some sockets, whose names begin with their kind."""
    done = box.run("/usr/bin/python3", "-I", "-S", "-c", PEERS, str(tree), *map(str, paths))
    assert done.status == 0, done
    return {str(act): str(result) for act, result in json.loads(done.out).items()}


def test_every_kind_of_socket(bench: Bench, tree: Path) -> None:
    """Connecting and sending are denied under a rule on Write, each time, and work beside it and under one on Read."""
    with bench.box(rule(f"{tree}/covered/**")) as box:
        for _ in range(3):  # the third time by what the socket's file remembers
            assert set(peers(box, tree, [f"{tree}/covered/{kind}" for kind in KINDS]).values()) == {DENIED}
            assert set(peers(box, tree, [f"{tree}/free/{kind}" for kind in KINDS]).values()) == {DONE}
        told = box.violations()
        assert {each["object"] for each in told} == {f"{tree}/covered/{kind}" for kind in KINDS}
        assert {(each["rule"], each["operation"]) for each in told} == {("r", "Write")}
        box.apply(rule(f"{tree}/covered/**", "Read, Create, Delete"))
        assert set(peers(box, tree, [f"{tree}/covered/{kind}" for kind in KINDS]).values()) == {DONE}


def test_no_alias_of_a_socket_helps(bench: Bench, tree: Path) -> None:
    """Links made before, a rename, a directory moved, names through /proc, and relative ones."""
    for kind in KINDS:
        os.link(tree / "covered" / kind, tree / "free" / f"{kind}.linked")
        (tree / "free" / f"{kind}.pointing").symlink_to(tree / "covered" / kind)
    aliases = [f"{tree}/free/{kind}{by}" for kind in KINDS for by in (".linked", ".pointing")]
    aliases += [f"{way}/{kind}" for kind in KINDS for way in ("covered", f"/proc/self/root{tree}/covered")]
    with bench.box(rule(f"{tree}/elsewhere/**")) as box:
        assert set(peers(box, tree, aliases).values()) == {DONE}
    with bench.box(rule(f"{tree}/covered/**")) as box:
        assert {way: result for way, result in peers(box, tree, aliases).items() if result != DENIED} == {}
    os.rename(tree / "free" / "stream", tree / "covered" / "stream.renamed")
    os.rename(tree / "covered" / "packets", tree / "free" / "packets.renamed")
    with bench.box(rule(f"{tree}/covered/*.renamed")) as box:
        assert peers(box, tree, ["covered/stream.renamed", "free/packets.renamed"]) == {
            "covered/stream.renamed": DENIED,
            "free/packets.renamed": DONE,
        }


def test_the_name_that_a_socket_was_bound_to_is_gone(bench: Bench, tree: Path) -> None:
    """What has another name by then is not known by the old one: the strictest rule that could match decides."""
    for kind in KINDS:
        os.link(tree / "free" / kind, tree / "covered" / f"{kind}.linked")
        os.unlink(tree / "free" / kind)
    linked = [f"{tree}/covered/{kind}.linked" for kind in KINDS]
    with bench.box(rule(f"{tree}/covered/**")) as box:
        assert set(peers(box, tree, linked).values()) == {DENIED}
        assert {each["unresolved"] for each in box.violations()} == {True}
        box.apply(rule(f"{tree}/covered/**", "Read"))
        assert set(peers(box, tree, linked).values()) == {DONE}


def test_a_mount_of_a_socket_is_no_way_round(bench: Bench, tree: Path) -> None:
    """A bind mount of the socket's file under another name."""
    script = f"mount --bind {tree}/covered/stream {tree}/free/stream && exec python3 -I -S -c '{PEERS}' / $0"
    command = ("unshare", "-m", "/bin/bash", "-c", script, f"{tree}/free/stream")
    with bench.box(rule(f"{tree}/elsewhere/**")) as box:
        assert DONE in box.run(*command).out
    with bench.box(rule(f"{tree}/covered/**")) as box:
        assert DENIED in box.run(*command).out


def test_a_ring_is_no_way_round(bench: Bench, tree: Path) -> None:
    """Connecting and sending by io_uring, also in its workers."""
    ring = str(compiled("ring"))
    acts = [
        (f"{way}{act}", kind) for way in ("", "async-") for act, kind in (("connect", "stream"), ("send", "datagrams"))
    ]
    with bench.box(rule(f"{tree}/covered/**")) as box:
        assert [act for act, kind in acts if not box.run(ring, act, f"{tree}/covered/{kind}").denied] == []
        assert [act for act, kind in acts if box.run(ring, act, f"{tree}/free/{kind}").status] == []


def test_a_socket_on_an_overlay(bench: Bench, tree: Path) -> None:
    """Like one on any other file system, and made by what runs in the container."""
    for name in ("lower", "upper", "work", "root"):
        (tree / name).mkdir()
    for name in ("covered", "free"):
        (tree / "lower" / name).mkdir()
    layers = f"lowerdir={tree}/lower,upperdir={tree}/upper,workdir={tree}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, f"{tree}/root"], check=True)
    try:
        with bench.box(rule(f"{tree}/root/covered/**")) as box:
            for name, status in (("covered", False), ("free", True)):
                path = f"{tree}/root/{name}/stream"
                with box.start("/usr/bin/python3", "-I", "-S", "-u", "-c", SERVER, path) as server:
                    assert server.stdout
                    assert server.stdin
                    assert server.stdout.readline() == "listening\n"
                    assert (box.run(str(compiled("ring")), "connect", path).status == 0) is status
                    server.stdin.close()
    finally:
        subprocess.run(["umount", f"{tree}/root"], check=True)


def test_sockets_without_a_path(bench: Bench, tree: Path) -> None:
    """Pairs and abstract names are no files: no default holds them up."""
    spec = "  files: {default: Deny, rules: [{name: r, action: Allow, operations: [Read, Map], paths: ['/**']}]}\n"
    with bench.box(policy(spec)) as box:
        done = box.run("/usr/bin/python3", "-I", "-S", "-c", NAMELESS)
        assert done.status == 0, done
        assert set(peers(box, tree, [f"{tree}/free/{kind}" for kind in KINDS]).values()) == {DENIED}


def test_who_may_connect(bench: Bench, tree: Path) -> None:
    """A rule `by` the others leaves a program its socket."""
    python = os.path.realpath("/usr/bin/python3")
    for by, expected in (("!" + python, DONE), (python, DENIED)):
        with bench.box(rule(f"{tree}/covered/**", rest=f', by: ["{by}"]')) as box:
            assert set(peers(box, tree, [f"{tree}/covered/{kind}" for kind in KINDS]).values()) == {expected}


@pytest.mark.parametrize(("name", "kind", "after"), [("stream", "STREAM", "sent"), ("datagrams", "DGRAM", DENIED)])
def test_a_connection_made_before_the_policy(bench: Bench, tree: Path, name: str, kind: str, after: str) -> None:
    """A stream goes on, as a file does that was opened; each datagram is asked about."""
    command = ("/usr/bin/python3", "-I", "-S", "-u", "-c", LASTING, f"{tree}/covered/{name}", kind)
    with bench.box(rule(f"{tree}/elsewhere/**")) as box, box.start(*command) as running:
        assert running.stdin
        assert running.stdout
        assert running.stdout.readline() == "connected\n"
        for expected, paths in (("sent", "elsewhere"), (after, "covered")):
            box.apply(rule(f"{tree}/{paths}/**"))
            running.stdin.write("\n")
            running.stdin.flush()
            assert running.stdout.readline() == f"{expected}\n"
        running.stdin.close()
