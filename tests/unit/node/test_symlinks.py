"""Links are followed below the root only, whatever changes meanwhile, and in bounded time whatever they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.node import symlinks
from bulkhead.node.symlinks import Links


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Links]:
    """Those of the root `tmp_path`/root."""
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_PATH)
    yield Links(descriptor)
    os.close(descriptor)


def test_a_directory_that_becomes_a_link_leads_nowhere(links: Links, tmp_path: Path) -> None:
    """The container swaps a directory for a link to the host after it was looked at: nothing is read there."""
    directory, outside = tmp_path / "root/a", tmp_path / "outside"
    directory.mkdir()
    outside.mkdir()
    (outside / "x").symlink_to("secret")
    assert links.follow(b"/a") == b"/a"
    directory.rmdir()
    directory.symlink_to(outside)
    assert links.follow(b"/a/x") == b"/a/x"
    assert os.readlink(tmp_path / "root/a/x") == "secret"


def test_a_root_that_is_removed_leaves_paths_as_they_are(links: Links, tmp_path: Path) -> None:
    """Nothing is there any more."""
    (tmp_path / "root/a").symlink_to("b")
    (tmp_path / "root/a").unlink()
    (tmp_path / "root").rmdir()
    assert links.follow(b"/a") == b"/a"


def test_each_link_is_read_once(links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image with ten thousand links, each asked for twice."""
    for number in range(10_000):
        (tmp_path / f"root/{number}").symlink_to(f"{number + 1}" if number % 5 else "/etc/target")
    paths = [f"/{number}/file".encode() for number in range(10_000)]
    first = list(map(links.follow, paths))
    assert {path for path in first if path == b"/etc/target/file"} == {b"/etc/target/file"}
    assert first[7] == b"/etc/target/file"
    monkeypatch.setattr(symlinks, "open_in_root", None)
    assert list(map(links.follow, paths)) == first


def test_names_may_have_every_byte(links: Links, tmp_path: Path) -> None:
    """But NUL and the slash."""
    every = bytes(byte for byte in range(1, 256) if byte != 0x2F)
    for name in (every[:127], every[127:]):
        os.symlink(b"/to/" + name, os.fsencode(tmp_path) + b"/root/" + name)
        assert links.follow(b"/" + name) == b"/to/" + name


def test_chains_of_long_links_stay_as_they_are_written(links: Links, tmp_path: Path) -> None:
    """What they lead to is longer than a path can be."""
    for number in range(30):
        (tmp_path / f"root/{number}").symlink_to(f"{number + 1}" + "/a" * 2_000)
    assert links.follow(b"/0") == b"/0"


def test_there_is_an_end_of_following(links: Links, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many steps paths are kept as they are written, once said; what was followed before is not lost."""
    monkeypatch.setattr(symlinks, "MOST_STEPS", 20)
    for name in "ab":
        (tmp_path / "root" / name).symlink_to("/to")
    assert links.follow(b"/a") == b"/to"
    for _ in range(50):
        links.follow(b"/x/y/z")
    assert links.follow(b"/b") == b"/b"


@pytest.mark.parametrize("path", [b"/", b"/a", b"/a/b/c"])
def test_what_is_not_there_is_kept(links: Links, path: bytes) -> None:
    """A rule may name a file that appears later."""
    assert links.follow(path) == path
