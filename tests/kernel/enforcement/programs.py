"""The programs in C that tests act with, compiled by the bench before the guest booted (tools/vm/programs.py)."""

from __future__ import annotations

import os
from pathlib import Path


def compiled(name: str) -> Path:
    """The program of NAME.c. It is of the image: a test that wants one that was written copies it."""
    found = Path(os.environ["BULKHEAD_PROGRAMS"], name)
    assert found.exists(), f"{found}: no {name}.c was there when the guest was started"
    return found
