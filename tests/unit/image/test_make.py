"""What is built, and what is given away."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.image import IMAGES, NAMES, ImageError, builder, machine, make, traces


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which every image is up to date; what would be built is a file that says so."""
    folder = tmp_path / IMAGES.name
    folder.mkdir()
    monkeypatch.setattr(make, "IMAGES", folder)
    monkeypatch.setattr(make, "CHECKOUT", tmp_path)
    monkeypatch.setattr(make, "key", lambda name: f"key of {name}")
    monkeypatch.setattr(machine, "marks", lambda: {b"mirror.example"})
    monkeypatch.setattr(builder, "save", lambda _name, archive: archive.write_text("fresh"))
    for name in NAMES:
        (folder / f"{name}.tar").write_text("old")
        (folder / f"{name}.key").write_text(f"key of {name}")
    return folder


def test_what_is_up_to_date_is_not_built(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only images with other inputs, or without an archive, are."""
    built: list[str] = []
    monkeypatch.setattr(make, "_check_machine", lambda: None)
    monkeypatch.setattr(make, "_make", built.extend)
    assert make.made(["debian", "agent"]) == {"debian": images / "debian.tar", "agent": images / "agent.tar"}
    assert built == []
    (images / "agent.key").write_text("another")
    (images / "collector.tar").unlink()
    make.made(["debian", "agent", "collector"])
    assert built == ["agent", "collector"]


def test_an_image_is_published_with_its_key(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is that of the inputs before the build began: what changes meanwhile is built next time."""
    monkeypatch.setattr(traces, "found", lambda _archive, _marks: [])
    with make._published("agent"):
        monkeypatch.setattr(make, "key", lambda _name: "changed meanwhile")
    assert (images / "agent.tar").read_text() == "fresh"
    assert (images / "agent.key").read_text() == "key of agent"


def test_an_image_that_betrays_this_machine_is_not_kept(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive at hand stays, and nothing else is left behind."""
    monkeypatch.setattr(traces, "found", lambda _archive, _marks: ["etc/pip.conf"])
    before = sorted(images.iterdir())
    with pytest.raises(ImageError, match=r"agent holds .*: etc/pip\.conf; it was not kept"), make._published("agent"):
        pass
    assert (images / "agent.tar").read_text() == "old"
    assert sorted(images.iterdir()) == before


def test_missing_tools_are_named(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs them, and before anything is done."""
    (images / "agent.tar").unlink()
    monkeypatch.setattr(make, "PACKAGES", {"no-such-program": "its-package"})
    with pytest.raises(ImageError, match="nothing was built: apt-get install its-package"):
        make.made(["agent"])


def test_a_failed_step_shows_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last of its output, its command and its status are in the error."""
    monkeypatch.setattr(builder, "LOG", tmp_path / "log")
    with pytest.raises(ImageError, match=r"(?s)no space.*`sh -c .*ended with 3; the archive is as it was"):
        builder.run(["sh", "-c", "echo no space >&2; exit 3"])
