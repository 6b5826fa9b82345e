"""The chart's values: each is documented, has a schema, and is read by a template.

On the files alone; what Helm makes of them is tested in tests/cluster/chart. Next step: `test_templates`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

CHART = Path(__file__).resolve().parents[3] / "deploy/helm/bulkhead"
VALUES = (CHART / "values.yaml").read_text()
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TEMPLATES = "\n".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
TYPES = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}
HANDED_DOWN = "global"  # by Helm, to every chart that is a part of another
KUBERNETES = {"resources", "seccompProfile", "appArmorProfile", "seLinuxOptions"}  # what is in them is described there
KEY = re.compile(r"( *)([A-Za-z]+):")

Keys = tuple[str, ...]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or the definition that it refers to."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return SCHEMA["definitions"][name] if name else schema


def described(schema: dict[str, Any], path: Keys = ()) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Every value of ours that the schema names, objects before what is in them."""
    for name, below in schema.get("properties", {}).items():
        yield (*path, name), resolved(below)
        if name not in KUBERNETES:
            yield from described(resolved(below), (*path, name))


def commented(text: str) -> Iterator[tuple[Keys, bool]]:
    """Every key of a YAML text, and whether a comment stands right above it."""
    path: list[tuple[int, str]] = []
    above = ""
    for line in text.splitlines():
        if found := KEY.match(line):
            indent = len(found[1])
            path = [*(each for each in path if each[0] < indent), (indent, found[2])]
            yield tuple(name for _, name in path), above.lstrip().startswith("#")
        above = line


def default(path: Keys) -> Any:
    """What values.yaml says."""
    value = yaml.safe_load(VALUES)
    for name in path:
        value = value[name]
    return value


def named(what: str) -> bool:
    """Whether a template says it, not only something that begins with it."""
    return re.search(rf"{re.escape(what)}(?![.\w])", TEMPLATES) is not None


DESCRIBED = {path: schema for path, schema in described(SCHEMA) if path != (HANDED_DOWN,)}
LEAVES = [path for path, schema in DESCRIBED.items() if path[-1] in KUBERNETES or "properties" not in schema]


def test_each_value_is_documented() -> None:
    """What the schema allows is in values.yaml, with a comment above."""
    documented = {path for path, comment in commented(VALUES) if comment}
    assert [".".join(path) for path in DESCRIBED if path not in documented] == []


def test_each_value_has_a_schema() -> None:
    """What values.yaml sets is in the schema, or inside a value that is the user's or Kubernetes's."""
    inside = [path for path, _ in commented(VALUES) if path not in DESCRIBED]
    assert [path for path in inside if not any(path[: len(leaf)] == leaf for leaf in LEAVES)] == []


@pytest.mark.parametrize("path", DESCRIBED, ids=".".join)
def test_each_default_is_of_its_type(path: Keys) -> None:
    """The schema does not refuse the chart's own values."""
    schema, value = DESCRIBED[path], default(path)
    allowed = schema.get("oneOf", [schema])
    assert value in schema["enum"] if "enum" in schema else TYPES[type(value)] in [each["type"] for each in allowed]
    if isinstance(value, str):
        assert all(re.search(each.get("pattern", ""), value) for each in allowed if each.get("type") == "string")


def test_unknown_values_are_refused_everywhere() -> None:
    """Each object with names of ours says that there are no others."""
    objects = {"": SCHEMA, **{".".join(path): schema for path, schema in DESCRIBED.items()}, **SCHEMA["definitions"]}
    open_ones = [name for name, each in objects.items() if each.get("properties") and each.get("additionalProperties")]
    unsaid = [name for name, each in objects.items() if "properties" in each and "additionalProperties" not in each]
    assert open_ones + unsaid == []


def test_every_value_says_what_it_may_be() -> None:
    """No schema of a value allows anything."""
    said = {"type", "enum", "oneOf"}
    assert [".".join(path) for path, schema in DESCRIBED.items() if not said & schema.keys()] == []


@pytest.mark.parametrize("path", LEAVES, ids=".".join)
def test_each_value_is_read(path: Keys) -> None:
    """A template names it whole, or takes what it is in and names it from there."""
    *parents, name = path
    whole = ".".join(["", "Values", *path])
    assert named(whole) or (named(whole.removesuffix(f".{name}")) and named(f".{name}") and len(parents) > 1)
