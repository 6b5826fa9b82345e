"""docs/policy-reference.md from the models: every field with its type, its default, its limits and its meaning.

The tables come from the same schemas as the CRDs, so that the page, `kubectl explain` and the parser cannot disagree.
What is said around them is in `policy.document_meaning`. Next step: tools/gen_policy.py writes the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bulkhead.policy.document_meaning import MEANING, enforced, limits
from bulkhead.policy.document_privileged import SOCKETS, privileged
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.schema import SHORT_NAMES, crd

Schema = dict[str, Any]
SELECTORS = ("namespaceSelector", "nodeSelector")  # as spec.podSelector

_BEGIN = f"""\
# Policy reference

Made from the models in agent/bulkhead/policy/model by `make gen-policy`. `kubectl explain securitypolicy.spec` shows
the same texts, `bulkhead policy validate FILE` checks documents against them without a cluster.

Two kinds of objects, both `apiVersion: {API_VERSION}`:

- `SecurityPolicy` (`{SHORT_NAMES["SecurityPolicy"]}`) holds for pods of its own namespace;
- `ClusterSecurityPolicy` (`{SHORT_NAMES["ClusterSecurityPolicy"]}`) for pods of all namespaces.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_BEGIN, MEANING, SOCKETS, *privileged(), *enforced(), *_kinds(), *limits()])


def _kinds() -> Iterator[str]:
    spec, cluster_spec = _spec("SecurityPolicy"), _spec("ClusterSecurityPolicy")
    only = {name: part for name, part in cluster_spec["properties"].items() if name not in spec["properties"]}
    yield "## Fields\n"
    yield "`metadata.name` is required; `metadata.namespace` of a SecurityPolicy is `default` where it is left out.\n"
    yield from _tables("spec", spec, {})
    yield "### spec of a ClusterSecurityPolicy\n\nAll of the above, and:\n"
    yield _table({"properties": only})
    for name, part in only.items():
        if name not in SELECTORS:
            yield from _tables(f"spec.{name}", part, {})


def _spec(kind: str) -> Schema:
    (version,) = crd(kind)["spec"]["versions"]
    spec: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def _tables(path: str, schema: Schema, shown: dict[str, str]) -> Iterator[str]:
    """The table of one object, then those of the objects within it. Tables that are the same are shown once."""
    table = _table(schema)
    if table in shown:
        yield f"### {path}\n\nAs [{shown[table]}](#{_anchor(shown[table])}).\n"
        return
    shown[table] = path
    yield f"### {path}\n\n{schema.get('description', '')}\n"
    yield table
    for name, part in schema["properties"].items():
        inner, suffix = (part["items"], "[]") if "items" in part else (part, "")
        if "properties" in inner:
            yield from _tables(f"{path}.{name}{suffix}", inner, shown)


def _anchor(heading: str) -> str:
    """The fragment that Markdown renderers make of a heading."""
    return "".join(character for character in heading.lower() if character.isalnum() or character in "-_")


def _table(schema: Schema) -> str:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(part)} | {'required' if name in required else _default(part)} | {_cell(_meaning(part))} |"
        for name, part in schema["properties"].items()
    ]
    return "\n".join(["| field | type | default | meaning |", "|---|---|---|---|", *rows, ""])


def _type(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "enum" in schema:
        return "word"
    if "additionalProperties" in schema:
        return "map of text"
    return {"string": "text", "integer": "number", "boolean": "true or false", "object": "object"}[schema["type"]]


def _default(schema: Schema) -> str:
    """The value of a field that is left out, where it has one."""
    if "default" not in schema:
        return ""
    return f"`{str(schema['default']).lower() if isinstance(schema['default'], bool) else schema['default']}`"


def _meaning(schema: Schema) -> str:
    words = schema.get("enum") or schema.get("items", {}).get("enum") or []
    parts = [schema.get("description", "")]
    if words and not all(f"`{word}`" in parts[0] for word in words):
        parts.append(f"One of {', '.join(f'`{word}`' for word in words)}.")
    if "maxItems" in schema:
        parts.append(f"At most {schema['maxItems']}.")
    if "maxLength" in schema:
        parts.append(f"At most {schema['maxLength']} characters.")
    return " ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
