"""What does not answer is waited for once, and by nobody else."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from bulkhead.report.patient import PatientReader


def waiting() -> list[threading.Thread]:
    """Threads that read."""
    return [each for each in threading.enumerate() if each.name == "reading"]


def test_a_file_is_read_up_to_a_size(tmp_path: Path) -> None:
    """And one that is not there is nothing."""
    (tmp_path / "file").write_bytes(b"content")
    reader = PatientReader()
    assert reader.read(tmp_path / "file", 4) == b"cont"
    assert reader.read(tmp_path / "none", 4) is None


def test_what_does_not_answer_is_left_alone_and_nothing_else_read_until_it_does(tmp_path: Path) -> None:
    """One thread waits, however often somebody asks; once it has got its answer, all is as before."""
    os.mkfifo(tmp_path / "silent")
    (tmp_path / "file").write_bytes(b"content")
    reader = PatientReader()
    assert reader.read(tmp_path / "silent", 4) is None
    assert [reader.read(tmp_path / name, 7) for name in ("silent", "file")] == [None, None]
    (thread,) = waiting()
    with (tmp_path / "silent").open("wb"):  # opening a pipe waits for its other end
        pass
    thread.join(10.0)
    assert reader.read(tmp_path / "file", 7) == b"content"
