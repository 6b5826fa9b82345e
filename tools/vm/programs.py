"""The C programs that tests act with, compiled before the guest boots: its emulated compiler takes twenty seconds each.

A program is `tests/kernel/**/NAME.c`; the guest finds it as NAME in the folder BULKHEAD_PROGRAMS. Static, because under
an allow-list a program must not depend on libraries. Next step: tests/kernel/enforcement/programs.py.
"""

from __future__ import annotations

import fcntl
import subprocess
from pathlib import Path

from tools.vm import CACHE, CHECKOUT, BenchError

PROGRAMS = CACHE / "programs"
SOURCES = CHECKOUT / "tests/kernel"
COMPILER = ("gcc", "-O1", "-Wall", "-Wextra", "-Werror", "-static", "-pthread")


def prepare() -> None:
    """Compile what is older than its source, or than a header. Raises `BenchError`."""
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    with (PROGRAMS / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        headers = max((header.stat().st_mtime for header in SOURCES.rglob("*.h")), default=0.0)
        for source in sorted(SOURCES.rglob("*.c")):
            _compile(source, PROGRAMS / source.stem, headers)


def _compile(source: Path, program: Path, headers: float) -> None:
    if program.exists() and program.stat().st_mtime >= max(source.stat().st_mtime, headers):
        return
    done = subprocess.run([*COMPILER, "-o", program, source], check=False, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{source.relative_to(CHECKOUT)}: gcc could not compile it\n{done.stderr}")
