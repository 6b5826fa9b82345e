"""What is big in an image: the figures of docs/benchmarks.md.

Why here: every node pulls and keeps the agent's image. A size is that of all files as seen in a container, in units of
10^6 bytes. Pure but for reading the file.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tools.image.archive import layers, tree

SHOWN = 14
MEGABYTE = 1_000_000


def measured(archive: Path) -> dict[str, int]:
    """Bytes by path of all files of the image in an archive."""
    return tree([[(entry.path, entry.size) for entry in layer] for layer in layers(archive)])


def part_of(path: str) -> str:
    """What a file belongs to: a library, a Python package, or the first three names of its path."""
    names = path.split("/")
    if "site-packages" in names:
        at = names.index("site-packages") + 1
        return f"Python package {names[at]}" if at < len(names) else path
    if names[-1].startswith("lib") and ".so" in names[-1]:
        return names[-1].partition(".so")[0]
    if names[:2] == ["usr", "lib"] and len(names) > 3 and names[2].startswith("python3"):
        return "Python's standard library"
    return "/" + "/".join(names[:-1][:3])


def table(name: str, files: dict[str, int]) -> str:
    """The total and the biggest parts, as lines of text."""
    parts: Counter[str] = Counter()
    for path, size in files.items():
        parts[part_of(path)] += size
    rows = [(f"{name}, {len(files)} files", sum(files.values())), *parts.most_common(SHOWN)]
    return "\n".join(f"{size / MEGABYTE:8.1f} MB  {what}" for what, size in rows)
