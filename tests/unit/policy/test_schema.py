"""CRD schemas: structural, as apiextensions.k8s.io/v1 wants them, and in agreement with the parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, ip_addresses
from pydantic_core import PydanticCustomError

from bulkhead.policy.document_reference import page
from bulkhead.policy.model import KINDS
from bulkhead.policy.model.texts import NO_CIDR, check_network
from bulkhead.policy.schema import crd
from bulkhead.policy.support import unenforced
from tests.unit.policy.documents import documents

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = frozenset({
    "type", "description", "enum", "default", "format", "pattern", "minimum", "maximum", "minItems", "maxItems",
    "minLength", "maxLength", "minProperties", "maxProperties", "required", "properties", "items",
    "additionalProperties", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
    "x-kubernetes-validations", "oneOf", "anyOf", "allOf", "not",
})  # fmt: skip
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


@cache
def _root(kind: str) -> dict[str, Any]:
    (version,) = crd(kind)["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return schema


def _all(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from _all(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from _all(schema[key], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_structural(kind: str) -> None:
    """One type each, no references, nothing beyond what the API server knows, no empty objects within spec."""
    for path, schema in _all(_root(kind)):
        assert schema.keys() <= ALLOWED, path
        assert schema["type"] in TYPES, path
        assert not ("properties" in schema and "additionalProperties" in schema), path
        assert set(schema.get("required", [])) <= set(schema.get("properties", {})), path
        if path.startswith(".spec") and schema["type"] == "object":
            assert "properties" in schema or "additionalProperties" in schema, path
        if schema["type"] == "array":
            assert "items" in schema, path


@pytest.mark.parametrize("kind", KINDS)
def test_schemas_are_bounded_and_described(kind: str) -> None:
    """Lists and texts have limits, fields have descriptions, in spec and in status."""
    for path, schema in _all(_root(kind)):
        bounded = path.startswith((".spec", ".status"))
        if schema["type"] == "array":
            assert "maxItems" in schema, path
        if schema["type"] == "string" and bounded:
            assert {"maxLength", "enum", "format"} & schema.keys(), path
        if path and not path.endswith("[]"):
            assert schema.get("description") or path == ".metadata", path


def _joins(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether the fields that are there go together, as `oneOf` and its like say."""
    one = [_joins(value, each) for each in schema.get("oneOf", [])]
    either = [_joins(value, each) for each in schema.get("anyOf", [])]
    return (
        set(schema.get("required", [])) <= value.keys()
        and (not one or sum(one) == 1)
        and (not either or any(either))
        and all(_joins(value, each) for each in schema.get("allOf", []))
        and not ("not" in schema and _joins(value, schema["not"]))
    )


def _is_formed(value: str, schema: dict[str, Any]) -> bool:
    """By pattern, and by none of those of `not`."""
    refused = (each["pattern"] for each in schema.get("not", {}).get("anyOf", ()))
    return re.search(schema.get("pattern", ""), value) is not None and not any(
        re.search(pattern, value) for pattern in refused
    )


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    if not isinstance(value, TYPES[schema["type"]]):
        return False
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return _joins(value, schema) and all(
            _fits(part, properties.get(key, schema.get("additionalProperties", {"type": "object"})))
            for key, part in value.items()
        )
    if isinstance(value, list):
        bounds = schema.get("minItems", 0) <= len(value) <= schema["maxItems"]
        return bounds and all(_fits(entry, schema["items"]) for entry in value)
    if isinstance(value, str):
        formed = _is_formed(value, schema)
        return formed and value in schema.get("enum", [value]) and len(value) <= schema.get("maxLength", len(value))
    return bool(schema.get("minimum", value) <= value <= schema.get("maximum", value))


@settings(max_examples=25, deadline=None)
@given(documents())
def test_the_api_server_takes_what_the_parser_takes(document: dict[str, Any]) -> None:
    """Every valid document fits the schema of its kind."""
    assert _fits(document["spec"], _root(document["kind"])["properties"]["spec"])


@settings(max_examples=300, deadline=None)
@given(ip_addresses(), integers(0, 128), booleans())
def test_no_network_is_refused_that_is_one(address: IPv4Address | IPv6Address, prefix: int, exploded: bool) -> None:
    """However it is written; an address of one, with bits beyond its prefix, is mostly refused."""
    network = ip_network((address, min(prefix, address.max_prefixlen)), strict=False)
    text = network.exploded if exploded else str(network)
    if network.version == 6 and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        return
    assert [pattern for pattern in NO_CIDR if re.search(pattern, text)] == []


@pytest.mark.parametrize(
    "text",
    ["10.1.2.3/8", "10.0.1.0/16", "10.0.0.1/24", "10.128.0.0/8", "0.1.0.0/0", "1.0.0.0/0", "2001:db8::1/32", "::1/0",
     "::ffff:10.0.0.0/104", "::ffff:0a00:0/104", "0:0:0:0:0:FFFF:a00:0/104", "0::0:ffff:1:2/128"],
)  # fmt: skip
def test_networks_that_are_none_are_refused(text: str) -> None:
    """By the API server as by us."""
    assert any(re.search(pattern, text) for pattern in NO_CIDR)
    with pytest.raises(PydanticCustomError):
        check_network(text)


@pytest.mark.parametrize("path", [*(ROOT / "examples").glob("*.yaml")], ids=lambda path: path.stem)
def test_the_api_server_takes_the_examples(path: Path) -> None:
    """Examples fit, too."""
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        assert _fits(document["spec"], _root(document["kind"])["properties"]["spec"])


def test_names_are_those_that_people_rely_on() -> None:
    """Plural, short names, scope and category as documented."""
    namespaced, cluster = crd("SecurityPolicy"), crd("ClusterSecurityPolicy")
    assert namespaced["metadata"]["name"] == "securitypolicies.bulkhead.dev"
    assert cluster["metadata"]["name"] == "clustersecuritypolicies.bulkhead.dev"
    assert [each["spec"]["scope"] for each in (namespaced, cluster)] == ["Namespaced", "Cluster"]
    assert [each["spec"]["names"]["shortNames"] for each in (namespaced, cluster)] == [["secpol"], ["csecpol"]]
    assert namespaced["spec"]["versions"][0]["subresources"] == {"status": {}}


def test_conditions_have_one_entry_a_type() -> None:
    """Two writers of conditions do not overwrite each other's."""
    conditions = _root("SecurityPolicy")["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert "type" in conditions["items"]["required"]


def test_the_reference_page_has_every_field() -> None:
    """Every field of both kinds has its row, and every link its heading."""
    text = page()
    for kind in KINDS:
        for path, _ in _all(_root(kind)["properties"]["spec"]):
            name = path.rsplit(".", maxsplit=1)[-1].removesuffix("[]")
            assert not name or f"| `{name}` |" in text, path
    headings = {re.sub(r"[^\w-]", "", line[4:].lower()) for line in text.splitlines() if line.startswith("### ")}
    assert set(re.findall(r"\(#([^)]*)\)", text)) <= headings


def test_the_reference_page_says_what_is_left_out_and_what_is_refused() -> None:
    """Defaults and required fields have a column of their own; every row of the table of support is there."""
    text = page()
    assert "| `mode` | word | `Enforce` |" in text
    assert "| `fileless` | true or false | `false` |" in text
    assert "| `action` | word | required |" in text
    refused = text.split("## Not enforced yet")[1].split("\n## ")[0]
    assert [field for field, _ in unenforced() if f"| `{field}` |" not in refused] == []
