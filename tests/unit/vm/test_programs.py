"""The programs of tests: compiled once, again where their source changed, and a source that is wrong is told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.vm import BenchError, programs


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one program of a checkout."""
    monkeypatch.setattr(programs, "CHECKOUT", tmp_path)
    monkeypatch.setattr(programs, "SOURCES", tmp_path)
    monkeypatch.setattr(programs, "PROGRAMS", tmp_path / "made")
    made = tmp_path / "below/act.c"
    made.parent.mkdir()
    made.write_text("int main(void) { return 3; }\n")
    return made


def status() -> int:
    """That of the program."""
    return subprocess.run([programs.PROGRAMS / "act"], check=False).returncode


def test_it_is_compiled_once_and_when_it_changes(source: Path) -> None:
    """By the time at which it was written."""
    programs.prepare()
    assert status() == 3
    first = (programs.PROGRAMS / "act").stat().st_mtime_ns
    programs.prepare()
    assert (programs.PROGRAMS / "act").stat().st_mtime_ns == first
    source.write_text("int main(void) { return 4; }\n")
    os.utime(source, ns=(first + 10**9, first + 10**9))
    programs.prepare()
    assert status() == 4


def test_what_cannot_be_compiled_is_named(source: Path) -> None:
    """With what the compiler says, and a warning is an error."""
    source.write_text("int main(void) { int unused; return 0; }\n")
    with pytest.raises(BenchError, match=r"(?s)below/act\.c: gcc could not compile it\n.*unused"):
        programs.prepare()
