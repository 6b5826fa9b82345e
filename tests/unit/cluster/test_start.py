"""What is in the way of a cluster is told, and nothing is changed."""

from __future__ import annotations

import fcntl
import io
import socket
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
        monkeypatch.setattr(addresses, "_holder", lambda: "")
        yield port


def test_taken_port_is_named_with_its_owner(taken: int) -> None:
    """Port, what it is for, and who has it."""
    with pytest.raises(BenchError, match=rf"nothing was changed: port {taken}, for the API server, is taken by .*pid="):
        start.up()


def test_taken_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node's address may be a real interface's."""
    monkeypatch.setattr(addresses, "PORTS", {})
    monkeypatch.setattr(addresses, "_holder", lambda: "eth7")
    (found,) = addresses.obstacles(is_address_ours=True)
    assert found == "the node's address 10.0.2.15 is already on the interface eth7"


def test_address_that_a_killed_run_left_is_in_nobodys_way(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed marks its address; without the mark it is somebody else's. `down` takes ours away."""
    taken_away: list[str] = []
    monkeypatch.setattr(addresses, "PORTS", {})
    monkeypatch.setattr(addresses, "_holder", lambda: "lo")
    monkeypatch.setattr(addresses, "give_back", lambda: taken_away.append("address"))
    with pytest.raises(BenchError, match=r"10\.0\.2\.15 is already on the interface lo"):
        supervisor.check_obstacles()
    (cache / "run").mkdir()
    (cache / "run/address-taken").touch()
    supervisor.check_obstacles()
    assert start.down() is False
    assert taken_away == ["address"]
    start.down()
    assert taken_away == ["address"]


def test_address_of_another_interface_is_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what we put on loopback is ours to remove."""
    monkeypatch.setattr(addresses, "_holder", lambda: "eth7")
    monkeypatch.setattr(addresses, "_ip", lambda *words, check=True: pytest.fail(f"ip {words}"))
    addresses.give_back()


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


def test_nothing_to_end() -> None:
    """Ending what is not up is no error."""
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
