"""Searches an image for what betrays the machine that built it.

Why here: an address of a private mirror or a company's certificate authority in a published image is a leak, and a
mirror that only we reach is a fault. Files that a package brought are as its author wrote them, so a mirror that is
also everybody's may be named in them. Pure but for reading the file. Next step: `make` refuses such an image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tools.image.archive import Entry, layers

LISTS = re.compile(r"var/lib/dpkg/info/[^/]+\.list")
PACKAGES = re.compile(r"opt/bulkhead/lib/[^/]+/site-packages/(?!bulkhead)")  # of others


def found(archive: Path, marks: set[bytes]) -> list[str]:
    """The files in which one of `marks` is, sorted."""
    brought = {path for layer in layers(archive) for path in listed(layer)}
    return sorted({path for layer in layers(archive) for path in traces(layer, marks, brought)})


def listed(entries: Iterable[Entry]) -> set[str]:
    """The paths that Debian's packages brought, by their own lists."""
    texts = (entry.content.decode() for entry in entries if LISTS.fullmatch(entry.path))
    return {line.removeprefix("/") for text in texts for line in text.splitlines()}


def traces(entries: Iterable[Entry], marks: set[bytes], brought: set[str]) -> Iterable[str]:
    """The files that hold a mark and were not `brought` by a package."""
    if not marks:
        return
    pattern = re.compile(b"|".join(re.escape(mark) for mark in sorted(marks)))
    for entry in entries:
        if entry.path not in brought and not PACKAGES.match(entry.path) and pattern.search(entry.content):
            yield entry.path
