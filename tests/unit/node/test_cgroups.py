"""bulkhead.node.cgroups: choosing the hierarchy, patterns and changes. What needs a real one is in tests/kernel."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bulkhead.errors import NotEnforceable, UsageError
from bulkhead.node import cgroups
from bulkhead.node.cgroups import Cgroup, Watch, cgroup_id, choose_mount_point, create, expand, remove, walk
from bulkhead.node.mounts import Mount


def mount(fstype: bytes, mount_point: bytes) -> Mount:
    return Mount(1, 0, 0, 30, b"/", mount_point, fstype)


@pytest.fixture
def ids_are_inodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain directory has a file handle of another form; its inode number takes the id's place."""
    monkeypatch.setattr(cgroups, "cgroup_id", lambda path: path.stat().st_ino)


def test_unified_hierarchy_is_found_wherever_it_is() -> None:
    """The usual place is preferred, any other is taken."""
    elsewhere = mount(b"cgroup2", b"/cg")
    assert choose_mount_point((elsewhere,)) == Path("/cg")
    assert choose_mount_point((elsewhere, mount(b"cgroup2", b"/sys/fs/cgroup"))) == Path("/sys/fs/cgroup")


def test_hybrid_layout_is_refused() -> None:
    """Where controllers are on v1 the refusal names both mounts and what to boot with."""
    mounts = (mount(b"cgroup", b"/sys/fs/cgroup/memory"), mount(b"cgroup2", b"/sys/fs/cgroup/unified"))
    with pytest.raises(NotEnforceable, match=r"unified.*memory.*hybrid.*nothing is enforced.*unified_cgroup_hierarchy"):
        choose_mount_point(mounts)


def test_missing_hierarchy_is_refused() -> None:
    """Without cgroup v2 the refusal says how to get it."""
    with pytest.raises(NotEnforceable, match="mount -t cgroup2"):
        choose_mount_point((mount(b"tmpfs", b"/"),))


def test_id_of_what_is_not_there_is_refused(tmp_path: Path) -> None:
    """A cgroup that is gone has no id, and the message says which it was."""
    with pytest.raises(NotEnforceable, match="gone: its id cannot be read"):
        cgroup_id(tmp_path / "gone")


def test_walk_yields_parents_before_children(tmp_path: Path) -> None:
    """Every directory once, files not, links not followed."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "cgroup.procs").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    found = list(walk(tmp_path))
    assert sorted(found) == [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "c"]
    assert found.index(tmp_path / "a") < found.index(tmp_path / "a" / "b")
    assert sorted(walk(tmp_path, {tmp_path, tmp_path / "a"})) == [tmp_path, tmp_path / "c"]


@pytest.mark.usefixtures("ids_are_inodes")
def test_pattern_matches_directories_only(tmp_path: Path) -> None:
    """Files and links under the pattern are no cgroups; the result is sorted."""
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert [found.path for found in expand(f"{tmp_path}/*")] == [tmp_path / "a", tmp_path / "b"]
    assert expand(f"{tmp_path}/none*") == ()


def test_relative_pattern_is_a_wrong_use() -> None:
    """A pattern must say where it starts."""
    with pytest.raises(UsageError, match="not absolute"):
        expand("demo/*")


@pytest.mark.usefixtures("ids_are_inodes")
def test_watch_reports_what_differs(tmp_path: Path) -> None:
    """The first look finds what is there; later looks find what came and went."""
    (tmp_path / "a").mkdir()
    watch = Watch(f"{tmp_path}/*")
    assert [found.path.name for found in watch.look().appeared] == ["a"]
    (tmp_path / "b").mkdir()
    (tmp_path / "a").rmdir()
    change = watch.look()
    assert [found.path.name for found in change.appeared] == ["b"]
    assert [found.path.name for found in change.vanished] == ["a"]
    assert watch.look() == cgroups.Change((), ())


def test_watch_sees_a_cgroup_that_was_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same path with another id is another cgroup: the old one vanished and a new one appeared."""
    path = Path("/sys/fs/cgroup/x")
    looks = iter([(Cgroup(path, 1),), (Cgroup(path, 2),)])
    monkeypatch.setattr(cgroups, "expand", lambda _: next(looks))
    watch = Watch("/sys/fs/cgroup/*")
    watch.look()
    assert watch.look() == cgroups.Change((Cgroup(path, 2),), (Cgroup(path, 1),))


@pytest.mark.usefixtures("ids_are_inodes")
def test_changes_end_when_stopped(tmp_path: Path) -> None:
    """The iterator yields looks that found something and ends with the event."""
    (tmp_path / "a").mkdir()
    stop = threading.Event()
    seen = []
    for change in Watch(f"{tmp_path}/*").changes(stop, interval_s=0):
        seen.append(change)
        if len(seen) == 2:
            stop.set()
        (tmp_path / "b").mkdir(exist_ok=True)
    assert [[found.path.name for found in change.appeared] for change in seen] == [["a"], ["b"]]


def test_creating_where_one_may_not_is_refused(tmp_path: Path) -> None:
    """The message says which cgroup and that nothing runs."""
    (tmp_path / "file").touch()
    with pytest.raises(NotEnforceable, match="nothing was started"):
        create(tmp_path / "file" / "x")


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    """Removal is about the state afterwards."""
    remove(tmp_path / "gone")
