"""bulkhead.node.mounts: mount tables as bytes in, views out."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkhead.errors import Damaged
from bulkhead.node.mounts import Mount, View, by_origin, join, parse, paths_of, places, views


def table(*lines: str) -> tuple[Mount, ...]:
    """Mounts from `id parent device root mount_point` each."""
    return parse("\n".join(f"{line} rw,relatime - ext4 /dev/x rw" for line in lines).encode())


def view_of(mounts: tuple[Mount, ...], root: bytes) -> View:
    (found,) = [view for view in views(mounts) if view.root == root]
    return found


def paths(mounts: tuple[Mount, ...], view: View) -> frozenset[bytes]:
    """By which paths a view is judged where these mounts were seen."""
    return paths_of(view.device, view.root, by_origin(places(mounts)))


def test_line_is_read_field_by_field() -> None:
    """Any number of optional fields may stand before the separator."""
    for optional in ("", " master:1", " shared:2 master:1 propagate_from:3 unbindable"):
        line = f"36 35 98:7 /mnt1 /mnt2 rw,noatime{optional} - ext3 /dev/root rw,errors=continue\n"
        assert parse(line.encode()) == (Mount(36, 35, 98, 7, b"/mnt1", b"/mnt2", b"ext3"),)


def test_names_are_bytes_with_escapes_resolved() -> None:
    """Blank, tab, newline and backslash are escaped by the kernel; other bytes come as they are, valid UTF-8 or not."""
    (mount,) = parse(rb"1 0 0:1 /a\040b\011\012\134040 /m" + b"\xff - tmpfs - rw".replace(b" -", b" rw -", 1))
    assert mount.root == b"/a b\t\n\\040"
    assert mount.mount_point == b"/m\xff"


@pytest.mark.parametrize(
    "line", [b"rubbish", b"1 0 0:1 / / rw tmpfs none rw", b"x 0 0:1 / / rw - t n rw", b"1 0 01 / / rw - t"]
)
def test_unreadable_line_is_refused(line: bytes) -> None:
    """A table of another form is an error that shows the line, not a mount left out."""
    with pytest.raises(Damaged, match="cannot be read"):
        parse(b"1 0 0:1 / / rw - tmpfs none rw\n" + line + b"\n")


def test_own_table_is_readable() -> None:
    """The table of the kernel at hand parses, and its root is among the views' paths."""
    mounts = parse(Path("/proc/self/mountinfo").read_bytes())
    assert any(b"/" in paths(mounts, view) for view in views(mounts))


def test_bind_mount_is_seen_under_every_path() -> None:
    """A directory that is bound elsewhere has both its path in the outer mount and its own mount point."""
    mounts = table("1 0 8:1 / /", "2 1 8:1 /srv/data /data")
    assert paths(mounts, view_of(mounts, b"/srv/data")) == {b"/data", b"/srv/data"}
    assert paths(mounts, view_of(mounts, b"/")) == {b"/"}


def test_container_sees_only_its_part_of_a_file_system() -> None:
    """Paths come from the mounts the process has, not from where the host has them."""
    mounts = table("1 0 0:9 / /", "2 1 8:1 /kubelet/v /data", "3 1 8:1 /kubelet/v/sub /data2", "4 1 8:1 /kubelet/w /w")
    assert paths(mounts, view_of(mounts, b"/kubelet/v")) == {b"/data"}
    assert paths(mounts, view_of(mounts, b"/kubelet/v/sub")) == {b"/data2", b"/data/sub"}
    assert paths(mounts, view_of(mounts, b"/kubelet/w")) == {b"/w"}


def test_name_that_begins_alike_is_no_ancestor() -> None:
    """/a is not above /ab."""
    mounts = table("1 0 0:9 / /", "2 1 8:1 /a /x", "3 1 8:1 /ab /y")
    assert paths(mounts, view_of(mounts, b"/ab")) == {b"/y"}


def test_same_root_mounted_twice_is_one_view() -> None:
    """Two mounts of one directory share a view with both mount points and both ids; other devices are kept apart."""
    mounts = table("1 0 8:1 / /", "2 1 8:2 / /a", "3 1 8:2 / /b", "4 1 8:3 / /c")
    (both,) = [view for view in views(mounts) if view.device == (8, 2)]
    assert paths(mounts, both) == {b"/a", b"/b"}
    assert both.mount_ids == {2, 3}
    assert len(views(mounts)) == 3


def test_file_can_be_a_mount_root() -> None:
    """A single file bound over another (/etc/hosts of a container) is a view like a directory."""
    mounts = table("1 0 0:9 / /", "2 1 8:1 /pods/7/hosts /etc/hosts")
    assert paths(mounts, view_of(mounts, b"/pods/7/hosts")) == {b"/etc/hosts"}


def test_hidden_mount_keeps_its_view_and_path() -> None:
    """A mount under a later one on the same mount point still counts, and so does the later one."""
    mounts = table("1 0 8:1 / /", "2 1 8:2 / /m", "3 2 8:3 / /m")
    by_device = {view.device: view for view in views(mounts)}
    assert paths(mounts, by_device[8, 2]) == paths(mounts, by_device[8, 3]) == {b"/m"}


def test_representative_is_a_mount_point_that_can_be_reached() -> None:
    """Of several mounts of one directory, one that no other mount lies over is where the view is opened."""
    stacked = table("1 0 8:1 / /", "4 1 8:2 / /other", "2 1 8:2 / /m", "3 2 8:3 / /m")
    (view,) = [view for view in views(stacked) if view.device == (8, 2)]
    assert view.mount_point == b"/other"
    above = table("1 0 8:1 / /", "2 1 8:2 / /free", "3 1 8:2 / /d/m", "4 1 8:3 / /d")
    (view,) = [view for view in views(above) if view.device == (8, 2)]
    assert view.mount_point == b"/free"
    child = table("1 0 8:1 / /", "5 1 8:2 /x /free", "2 1 8:4 / /d", "3 2 8:2 /x /d/m", "4 1 8:3 / /d")
    assert view_of(child, b"/x").mount_point == b"/free"


def test_root_over_the_initial_one_is_reachable() -> None:
    """A root file system mounted over the kernel's first one, which is its own parent, hides that and not itself."""
    mounts = table("1 1 0:2 / /", "23 1 8:1 / /", "24 23 8:1 /srv /srv2", "25 23 0:2 / /first")
    (root,) = [view for view in views(mounts) if view.device == (8, 1) and view.root == b"/"]
    (first,) = [view for view in views(mounts) if view.device == (0, 2)]
    assert root.mount_ids == {23}
    assert first.mount_point == b"/first"
    assert view_of(mounts, b"/srv").mount_point == b"/srv2"


@pytest.mark.parametrize("root", ["/gone//deleted", "net:[4026531840]", "/../.."])
def test_root_that_is_no_path_has_only_its_mount_points(root: str) -> None:
    """Removed directories, namespaces and cgroups outside of the namespace are not below any other mount."""
    mounts = table("1 0 8:1 / /", f"2 1 8:1 {root} /m")
    assert paths(mounts, view_of(mounts, root.encode())) == {b"/m"}


def test_large_table_is_done_at_once() -> None:
    """A node's table of thousands of mounts costs a look-up a path element, not a comparison a pair."""
    lines = ["1 0 8:1 / /"] + [f"{n} 1 8:1 /v/{n} /m/{n}" for n in range(2, 4000)]
    assert len(views(table(*lines))) == 3999


def test_join_keeps_one_slash() -> None:
    """The root joins like any other directory."""
    assert [join(b"/", b"/a"), join(b"/m", b"/a"), join(b"/m", b""), join(b"/", b"")] == [b"/a", b"/m/a", b"/m", b"/"]
