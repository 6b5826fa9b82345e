"""The kernel tests in a guest: booted once, plain pytest, output as it comes. Next step: tests/kernel/conftest.py."""

from __future__ import annotations

from collections.abc import Sequence

from tools.vm.boot import run
from tools.vm.qemu import Machine

SUITE = "tests/kernel"
TIMEOUT_S = 1800.0


def test(kernel: str, arguments: Sequence[str], machine: Machine = Machine()) -> int:  # noqa: B008  # frozen
    """pytest's exit status. `arguments` are pytest's; without any, the whole suite."""
    chosen = list(arguments) or [SUITE]
    command = ["python", "-u", "-m", "pytest", "-p", "no:cacheprovider", "--durations=5", *chosen]
    return run(command, kernel, machine, timeout_s=TIMEOUT_S)
