"""Connecting or sending to a unix socket at a covered path is Write, whatever its kind and the name it goes by."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy

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


def test_a_mount_of_a_socket_is_no_way_round(bench: Bench, tree: Path) -> None:
    """A bind mount of the socket's file under another name."""
    script = f"mount --bind {tree}/covered/stream {tree}/free/stream && exec python3 -I -S -c '{PEERS}' / $0"
    command = ("unshare", "-m", "/bin/bash", "-c", script, f"{tree}/free/stream")
    with bench.box(rule(f"{tree}/elsewhere/**")) as box:
        assert DONE in box.run(*command).out
    with bench.box(rule(f"{tree}/covered/**")) as box:
        assert DENIED in box.run(*command).out


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
