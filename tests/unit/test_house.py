"""Rules of the house that no linter checks: documented modules, small files, short functions, licences of probes."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path
from statistics import quantiles

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES_P90 = 35
PROBE_LICENCE = re.compile(r"(/\*|//) SPDX-License-Identifier: GPL-2\.0-only OR BSD-2-Clause( \*/)?\n")


def _generated(path: Path) -> bool:
    return path == ROOT / "agent/bulkhead/abi/generated.py" or path.name.endswith(("_pb2.py", "_pb2_grpc.py"))


def _modules(*folders: str) -> list[Path]:
    """Python files that people write, below the folders."""
    found = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in folders)
    return sorted(path for path in found if not _generated(path))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_says_what_it_is() -> None:
    """Each module opens with a docstring. Test data and empty files have nothing to say."""
    silent = [path for path in _modules("agent/bulkhead", "tools", "tests") if _tree(path).body]
    assert [_name(path) for path in silent if not ast.get_docstring(_tree(path))] == []


def test_every_package_is_a_package() -> None:
    """A directory without __init__.py is invisible to the check of layers."""
    folders = {path.parent for path in _modules("agent/bulkhead")}
    assert [_name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_file_is_too_long_to_read() -> None:
    """A file over the limit holds more than one idea."""
    probes = sorted((ROOT / "probes").rglob("*.[ch]"))
    files = [*_modules("agent/bulkhead", "tools", "tests"), *probes]
    lengths = {_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > MAX_FILE_LINES} == {}


def test_functions_fit_a_screen() -> None:
    """Nine of ten functions do; the message lists the longest."""
    lengths = [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{_name(path)}:{node.lineno} {node.name}")
        for path in _modules("agent/bulkhead", "tools")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    ninetieth = quantiles([length for length, _ in lengths], n=10)[-1]
    longest = "\n".join(f"{length} {name}" for length, name in sorted(lengths, reverse=True)[:10])
    assert ninetieth <= MAX_FUNCTION_LINES_P90, longest


def test_every_test_states_its_promise() -> None:
    """Each test has a docstring."""
    silent = [
        f"{_name(path)}:{node.lineno} {node.name}"
        for path in _modules("tests")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


def test_probes_carry_their_licence() -> None:
    """The kernel asks for a GPL-compatible licence; the first line of each probe names it."""
    probes = sorted((ROOT / "probes").rglob("*.[ch]"))
    assert probes
    assert [_name(path) for path in probes if not PROBE_LICENCE.match(path.read_text(encoding="utf-8"))] == []


def test_nothing_is_left_for_later() -> None:
    """No markers of unfinished work: an issue is the place for them."""
    marker = re.compile(r"\b(?:TODO|FIXME|XXX)\b")
    sources = [*(ROOT / "probes").rglob("*.[ch]"), *(ROOT / "proto").rglob("*.proto"), ROOT / "Makefile"]
    files = [path for path in (*_modules("agent/bulkhead", "tools", "tests"), *sources) if path != Path(__file__)]
    assert [_name(path) for path in files if marker.search(path.read_text(encoding="utf-8"))] == []
