"""What is in the way of a cluster is told, and nothing is changed."""

from __future__ import annotations

import fcntl
import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.cluster import BenchError, __main__, addresses, progress, start, supervisor
from tools.cluster.cluster import Cluster


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without anything."""
    monkeypatch.setattr(supervisor, "CLUSTER", tmp_path)
    monkeypatch.setattr(supervisor, "LOCK", tmp_path / "lock")
    for module in (start, supervisor):
        monkeypatch.setattr(module, "RUN", tmp_path / "run")

    def nothing() -> Path:
        raise AssertionError("something was built")

    monkeypatch.setattr(start.binaries, "build", nothing)
    return tmp_path


@pytest.fixture
def another(cache: Path) -> Iterator[int]:
    """Another supervisor's lock, and its process id."""
    with (cache / "lock").open("w") as lock:
        lock.write("4711\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield 4711


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port that a cluster needs, and somebody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        monkeypatch.setattr(addresses, "PORTS", {port: "the API server"})
        monkeypatch.setattr(addresses, "_route", dict)
        yield port


@pytest.fixture
def own_network() -> Iterator[list[str]]:
    """How a command is run in a network of its own, with a loopback."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec cat"], stdin=-1, stdout=-1
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    yield ["nsenter", "--net", f"--target={holder.pid}"]
    holder.communicate()


def test_taken_port_is_named_with_its_owner(taken: int) -> None:
    """Port, what it is for, and who has it."""
    with pytest.raises(BenchError, match=rf"nothing was changed: port {taken}, for the API server, is taken by .*pid="):
        start.up()


def test_taken_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's address may be a real interface's; then it is not taken away either."""
    monkeypatch.setattr(addresses, "PORTS", {})
    monkeypatch.setattr(addresses, "_route", lambda: {"dev": "eth7", "prefsrc": "10.0.2.15"})
    (found,) = addresses.obstacles()
    assert found == "the node's address 10.0.2.15 is already on the interface eth7"
    monkeypatch.setattr(addresses, "_ip", lambda *words, check=True: pytest.fail(f"ip {words}"))
    addresses.take_away_what_was_left()


def test_address_that_a_killed_run_left_is_in_nobodys_way(own_network: list[str]) -> None:
    """Whichever checkout it was of: a route like ours is nobody else's. `down` takes it away."""
    left = "from tools.cluster import addresses; import os\nwith addresses.node_address(): os.kill(os.getpid(), 9)"
    see = "from tools.cluster import addresses; print(addresses.obstacles(), bool(addresses._route()))"
    down = f"from tools.cluster import addresses; addresses.take_away_what_was_left(); {see}"

    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*own_network, sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert run(left).returncode == -signal.SIGKILL
    assert run(see).stdout == "[] True\n"
    assert run(down).stdout == "[] False\n"


def test_two_have_not_the_same_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second says so, and the first one's route stays."""
    said: list[tuple[str, ...]] = []
    monkeypatch.setattr(addresses, "ONE_ONLY", f"\0test-{os.getpid()}")
    monkeypatch.setattr(addresses, "_route", lambda: {"dev": "lo", "prefsrc": "127.0.0.1"})
    monkeypatch.setattr(addresses, "_ip", lambda *words, check=True: said.append(words))
    with addresses.node_address():
        with pytest.raises(BenchError, match="another cluster has the node's address"), addresses.node_address():
            pytest.fail("there are two")
        addresses.take_away_what_was_left()
        assert [words[:2] for words in said] == [("route", "replace")]
    assert [words[:2] for words in said] == [("route", "replace"), ("route", "del")]


def test_second_cluster_is_refused(another: int) -> None:
    """The error names the first one's process and how to end it."""
    with pytest.raises(BenchError, match=rf"up already \(process {another}\).*left as it is.*make cluster-down"):
        start.up()
    with pytest.raises(BenchError, match=rf"up already \(process {another}\)"), supervisor.only_one():
        pytest.fail("there are two")


def test_lock_tells_who_runs_as_long_as_it_does(cache: Path) -> None:
    """A process id in a file without its lock is that of one who has ended."""
    assert supervisor.running_id() is None
    with supervisor.only_one():
        assert supervisor.running_id() is not None
    assert (cache / "lock").read_text() != ""
    assert supervisor.running_id() is None


def test_cluster_that_is_not_ready_is_not_found(another: int, cache: Path) -> None:
    """A ready mark counts when it is that of the supervisor which runs."""
    assert start.found() is None
    (cache / "run").mkdir()
    (cache / "run/ready").write_text("1\n")
    assert start.found() is None
    (cache / "run/ready").write_text(f"{another}\n")
    (cache / "run/images").write_text("a:1\nb:2")
    assert start.found() == Cluster(("a:1", "b:2"))


def test_images_built_since_are_noticed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that was left up is told from one with the images of now."""
    monkeypatch.setattr(start.images, "archives", list)
    monkeypatch.setattr(start.images_disk, "place", lambda _archives: cache / "now.ext4")
    assert not start.has_newest_images()
    (cache / "run").mkdir()
    (cache / "run/disk").write_text("then.ext4")
    assert not start.has_newest_images()
    (cache / "run/disk").write_text("now.ext4")
    assert start.has_newest_images()


def test_nothing_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending what is not up is no error."""
    monkeypatch.setattr(addresses, "_route", dict)
    assert start.down() is False


def test_usage_can_be_pasted(cache: Path) -> None:
    """What `up` prints are commands with this cluster's paths."""
    text = __main__.usage(Cluster(("a:1",), run=Path("/with space")))
    assert "export KUBECONFIG='/with space/credentials/admin.kubeconfig'" in text
    assert "  a:1\n" in text


def test_bar_is_for_terminals() -> None:
    """A log gets none of it."""
    log = io.StringIO()
    bar = progress.Bar("thing", 10, log)
    bar.show(5)
    bar.clear()
    assert log.getvalue() == ""
    assert progress.bar(5, 10) == "[" + "#" * 15 + " " * 15 + "]"
    assert progress.bar(11, 10) == "[" + "#" * 30 + "]"
    assert progress.bar(0, 0) == "[" + "#" * 30 + "]"
