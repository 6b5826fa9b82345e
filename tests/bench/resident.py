"""Memory of a process: apart, so that whoever measures itself loads nothing else for it."""

from __future__ import annotations

import re
from pathlib import Path


def resident_mib(process: int | str = "self") -> float:
    """Of a process, by its id."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0
