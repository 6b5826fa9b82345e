"""Writing a file whole or not at all: a reader sees the old content or the new one, never half of it.

For what may be lost with the page cache. What must survive a power cut goes through `report.disk`, which waits for it.
"""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path`. What is half written lies beside it as NAME.PID.partial. Raises `OSError`."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)
