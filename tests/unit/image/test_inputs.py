"""When an image is built anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.image import CHECKOUT
from tools.image.inputs import CONTEXT, digest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in little."""
    (tmp_path / "code/deep").mkdir(parents=True)
    (tmp_path / "code/deep/a.py").write_text("a")
    (tmp_path / "one").write_text("1")
    return tmp_path


def test_the_same_inputs_are_the_same_word(root: Path) -> None:
    """Bytecode, times and what is not named do not count."""
    before = digest(root, ("one", "code"), "text")
    (root / "code/deep/a.cpython-311.pyc").write_text("compiled")
    (root / "other").write_text("other")
    (root / "one").write_text("1")
    assert digest(root, ("code", "one"), "text") == before


def test_every_change_is_another_word(root: Path) -> None:
    """Content, names, modes and texts count, and none can pass for another."""
    words = {digest(root, ("one", "code"), "ab", "c"), digest(root, ("one", "code"), "a", "bc"), digest(root, ("one",))}
    (root / "code/deep/a.py").chmod(0o755)
    words.add(digest(root, ("one", "code"), "ab", "c"))
    (root / "code/deep/a.py").write_text("b")
    words.add(digest(root, ("one", "code"), "ab", "c"))
    (root / "code/deep/a.py").rename(root / "code/a.py")
    words.add(digest(root, ("one", "code"), "ab", "c"))
    assert len(words) == 6


def test_everything_the_builder_sees_is_an_input() -> None:
    """A file that .dockerignore lets through and that is no input would change an image without its being built."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    seen = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert seen | {"Dockerfile", ".dockerignore"} == set(CONTEXT["agent"])
    assert set(CONTEXT["collector"]) == set(CONTEXT["agent"]) - {"probes"}
    assert all((CHECKOUT / name).exists() for name in CONTEXT["agent"])
