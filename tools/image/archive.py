"""Reads an image archive: the files of each layer, and the tree that they make together.

Why here: an image is judged by what is given away, not by how it was built. Pure but for reading the file. `traces` and
`sizes` judge.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WHITEOUT = ".wh."


@dataclass(frozen=True)
class Entry:
    """A file of a layer. `path` has no leading slash; `content` is that of a regular file."""

    path: str
    size: int
    content: bytes


def layers(archive: Path) -> Iterator[Iterator[Entry]]:
    """The files of each layer, the lowest first; each layer has to be read before the next is asked for."""
    with tarfile.open(archive) as image:
        manifest = image.extractfile("manifest.json")
        assert manifest is not None
        for name in json.load(manifest)[0]["Layers"]:
            content = image.extractfile(name)
            with tarfile.open(fileobj=content, mode="r:") as layer:
                yield _entries(layer)


def _entries(layer: tarfile.TarFile) -> Iterator[Entry]:
    for member in layer:
        content = layer.extractfile(member) if member.isreg() else None
        data = content.read() if content else b""
        yield Entry(member.name.removeprefix("./").strip("/"), len(data), data)


def tree(sizes: list[list[tuple[str, int]]]) -> dict[str, int]:
    """The size of each file that is seen in the end, given path and size of each file of each layer."""
    seen: dict[str, int] = {}
    for layer in sizes:
        for path, _ in layer:
            folder, _, name = path.rpartition("/")
            if name.startswith(WHITEOUT):
                gone = "/".join(filter(None, (folder, name.removeprefix(WHITEOUT))))
                seen = {each: size for each, size in seen.items() if each != gone and not each.startswith(f"{gone}/")}
        seen |= {path: size for path, size in layer if not path.rpartition("/")[2].startswith(WHITEOUT)}
    return seen
