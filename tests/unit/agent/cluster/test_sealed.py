"""Documents on disk are believed only as they were written, by this node's agent, under their name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.errors import Damaged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With two documents."""
    made = SealedFolder(tmp_path / "node")
    made.write("a", {"text": "a"})
    made.write("b", ["b"])
    return tmp_path / "node"


def test_what_was_written_is_read_by_the_next_agent(folder: Path) -> None:
    """What was not written is None, and what was removed is."""
    read = SealedFolder(folder)
    assert (read.read("a"), read.read("b"), read.read("c"), read.names()) == ({"text": "a"}, ["b"], None, {"a", "b"})
    read.remove("a")
    read.remove("a")
    assert (read.read("a"), read.names()) == (None, {"b"})


def test_only_root_may_read_the_key(folder: Path) -> None:
    """Whoever has it could seal."""
    assert (folder / "seal.key").stat().st_mode & 0o777 == 0o600


def alter(path: Path, old: bytes, new: bytes) -> None:
    """Put something in place of something."""
    path.write_bytes(path.read_bytes().replace(old, new))


HARM: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "a.json").write_bytes(
        (folder / "a.json").read_bytes().replace(b"text", b"tent")
    ),
    "cut short": lambda folder: (folder / "a.json").write_bytes((folder / "a.json").read_bytes()[:-1]),
    "empty": lambda folder: (folder / "a.json").write_bytes(b""),
    "of another name": lambda folder: (folder / "a.json").write_bytes((folder / "b.json").read_bytes()),
    "of another node": lambda folder: (folder / "seal.key").write_bytes(bytes(32)),
    "a folder": lambda folder: ((folder / "a.json").unlink(), (folder / "a.json").mkdir()),
    "key cut short": lambda folder: (folder / "seal.key").write_bytes(b"short"),
}


@pytest.mark.parametrize("harm", HARM)
def test_what_was_not_so_written_is_damaged(folder: Path, harm: str) -> None:
    """And says which file, and that it is done without."""
    HARM[harm](folder)
    with pytest.raises(Damaged, match=r"a\.json: .*done without"):
        SealedFolder(folder).read("a")
