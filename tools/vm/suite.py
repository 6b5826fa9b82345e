"""The kernel tests as a command for the guest: plain pytest, once. Next step: tests/kernel/conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys

from tools.vm import CHECKOUT, BenchError

TESTS = "tests/kernel"
# Hypothesis, of which these tests have nothing, takes the guest half a minute to import.
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


def command(arguments: list[str]) -> list[str]:
    """pytest with `arguments`, on all kernel tests unless these name some."""
    named = any(argument.startswith(TESTS) for argument in arguments)
    return ["python", "-u", *PYTEST, *arguments, *([] if named else [TESTS])]


def prepare() -> None:
    """Have pytest rewrite the tests' assertions here, which the guest would do anew each time. Raises `BenchError`."""
    folders = [str(each.relative_to(CHECKOUT)) for each in sorted((CHECKOUT / "tests").glob("kernel*"))]
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, *PYTEST, "--collect-only", "--quiet", *folders],
        cwd=CHECKOUT,
        env={**ours, "PYTHONPATH": str(CHECKOUT / "agent"), "BULKHEAD_GUEST": "none: tests are only collected"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BenchError(f"the kernel tests cannot be collected\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
