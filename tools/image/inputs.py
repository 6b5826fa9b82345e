"""What an image is made of, in one word: the same word means that the image at hand is the one wanted.

Why here: building takes minutes, asking takes milliseconds. Packages' versions are not among the inputs, save those of
Python: an image is as fresh as the day it was built, and `rm -r .cache/images` makes a fresher one. Pure but for
reading files. Next step: `make` compares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

EVERY = ("Dockerfile", ".dockerignore", "pyproject.toml", "README.md", "LICENSE", "requirements", "agent/bulkhead")
CONTEXT = {"agent": (*EVERY, "probes"), "collector": EVERY}  # as .dockerignore lets through


def digest(root: Path, names: Iterable[str], *others: str) -> str:
    """Hex SHA-256 over the files `names` (or below them) in `root`, and over `others`: texts that also decide."""
    total = hashlib.sha256()
    for text in others:
        total.update(f"{len(text)} {text}\n".encode())
    for file in sorted(_files(root, names)):
        content = file.read_bytes()
        total.update(f"{file.relative_to(root)} {file.stat().st_mode:o} {len(content)}\n".encode() + content)
    return total.hexdigest()


def _files(root: Path, names: Iterable[str]) -> Iterable[Path]:
    for name in names:
        place = root / name
        found = [place] if place.is_file() else place.rglob("*")
        yield from (file for file in found if file.is_file() and file.suffix != ".pyc")
