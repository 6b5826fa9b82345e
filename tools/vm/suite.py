"""The kernel tests as a command for the guest: plain pytest, once. Next step: tests/kernel/conftest.py."""

from __future__ import annotations

TESTS = "tests/kernel"


def command(arguments: list[str]) -> list[str]:
    """pytest with `arguments`, on all kernel tests unless these name some."""
    named = any(argument.startswith(TESTS) for argument in arguments)
    return ["python", "-u", "-m", "pytest", "-p", "no:cacheprovider", *arguments, *([] if named else [TESTS])]
