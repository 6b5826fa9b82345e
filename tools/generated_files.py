"""Writes generated files, or compares them with what is committed: what every `gen-x` and `verify-x` has in common.

A generator makes the texts of its files in memory and hands them to `settle`. Next step: the Makefile's targets.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def check_asked(description: str | None) -> bool:
    """Reads the one option that every generator has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 with a diff where files differ")
    return bool(parser.parse_args().check)


def settle(files: Mapping[Path, str], *, check: bool, remedy: str) -> int:
    """Makes `files` (absolute path to text) true, or with `check` prints how they differ. Returns the exit status.

    An empty text means that the file should not exist. `remedy` is the command that mends a difference.
    """
    changed = {path: text for path, text in files.items() if _current(path) != text}
    for path, text in changed.items():
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        if check:
            sys.stdout.writelines(
                difflib.unified_diff(
                    _current(path).splitlines(keepends=True), text.splitlines(keepends=True), name, f"{name} (new)"
                )
            )
        elif text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}", file=sys.stderr)
        else:
            path.unlink()
            print(f"removed {name}", file=sys.stderr)
    if check and changed:
        print(f"{len(changed)} generated file(s) differ from their source; mend with: {remedy}", file=sys.stderr)
        return 1
    return 0


def _current(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
