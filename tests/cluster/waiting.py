"""Waiting for what a real API server, or a node, does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def await_true(true: Callable[[], bool], otherwise: Callable[[], object] | str, patience_s: float = PATIENCE_S) -> None:
    """Until something is so; `otherwise` says what was missing, or looks."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, otherwise if isinstance(otherwise, str) else otherwise()
        time.sleep(0.1)
