"""The kernel tests load and attach programs: they run in a guest of the bench, never on the machine itself."""

from __future__ import annotations

import os

import pytest


def pytest_configure() -> None:
    """Refuse the whole run outside a guest: tests that skip themselves would look like tests that passed."""
    if "BULKHEAD_GUEST" not in os.environ:
        raise pytest.UsageError(
            "tests/kernel changes the kernel it runs on, and this is not a guest of the bench; "
            "run `python -m tools.vm test --kernel 6.12`"
        )
