"""Waiting for what a real API server does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 60.0


def await_true(true: Callable[[], bool], otherwise: str) -> None:
    """Until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.1)
