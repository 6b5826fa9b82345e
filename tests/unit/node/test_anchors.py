"""bulkhead.node.anchors, on this process's own mount table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.errors import NotEnforceable
from bulkhead.node.anchors import mount_id_of, open_anchors, open_in_root, watch_mounts
from bulkhead.node.mounts import View, views

NO_PID = 2**22  # above the highest possible one


def test_root_is_opened_as_itself() -> None:
    """The view of this process's root directory opens as that directory, and is closed afterwards."""
    with watch_mounts(os.getpid()) as watch:
        found = views(watch.table())
    with open_anchors(os.getpid(), found) as anchors:
        assert len(anchors.opened) + len(anchors.unopened) == len(found)
        fd = next(anchor.fd for anchor in anchors.opened if anchor.view.mount_point == b"/")
        assert os.fstat(fd).st_ino == os.stat("/").st_ino
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_view_that_lies_under_another_mount_is_told() -> None:
    """A path where another mount answers is not taken for the view's; the reason says so. A missing one alike."""
    hidden = View((0, 1), b"/", b"/", frozenset({-1}))
    missing = View((0, 1), b"/x", b"/no/such/place", frozenset({-1}))
    with open_anchors(os.getpid(), [hidden, missing]) as anchors:
        assert anchors.opened == ()
        assert [each.view for each in anchors.unopened] == [hidden, missing]
        assert "hidden under mount" in anchors.unopened[0].reason
        assert "No such file" in anchors.unopened[1].reason


def test_process_that_is_gone_is_refused() -> None:
    """Neither its root nor its table can be had, and the message says what stays."""
    with pytest.raises(NotEnforceable, match="does not change"), open_anchors(NO_PID, []):
        pass
    with pytest.raises(NotEnforceable, match="does not change"):
        watch_mounts(NO_PID)


def test_path_cannot_leave_the_root(tmp_path: Path) -> None:
    """`..` stops at the root, and symbolic links are refused wherever they lead."""
    (tmp_path / "inside").mkdir()
    (tmp_path / "out").symlink_to("/etc")
    root = os.open(tmp_path, os.O_PATH)
    try:
        fd = open_in_root(root, b"/../../inside")
        assert os.fstat(fd).st_ino == (tmp_path / "inside").stat().st_ino
        os.close(fd)
        with pytest.raises(OSError, match="Too many levels of symbolic links"):
            open_in_root(root, b"/out/passwd")
    finally:
        os.close(root)


def test_descriptor_knows_its_mount() -> None:
    """The id is the one that the mount table has."""
    with watch_mounts(os.getpid()) as watch:
        proc = [mount.mount_id for mount in watch.table() if mount.mount_point == b"/proc"]
    fd = os.open("/proc", os.O_PATH)
    try:
        assert mount_id_of(fd) in proc
    finally:
        os.close(fd)


def test_quiet_table_has_not_changed() -> None:
    """Without a mount or unmount nothing is reported."""
    with watch_mounts(os.getpid()) as watch:
        assert not watch.changed()
