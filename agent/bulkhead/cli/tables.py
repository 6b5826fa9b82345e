"""What commands print of objects: columns for people, one document of JSON or YAML for programs, or names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows whose cells stand below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_list(items: Sequence[Mapping[str, Any]], output: str) -> str:
    """One document with all of them, as `kubectl get -o json` and `-o yaml` have it."""
    return as_document({"apiVersion": "v1", "kind": "List", "items": list(items)}, output)


def as_document(value: Mapping[str, Any], output: str) -> str:
    """One document; `output` is json or yaml."""
    if output == "json":
        return json.dumps(value, indent=4, ensure_ascii=False)
    import yaml  # noqa: PLC0415  # takes its time

    return str(yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True)).rstrip("\n")
