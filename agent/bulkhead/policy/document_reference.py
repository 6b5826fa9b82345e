"""docs/policy-reference.md from the models: every field with its type, its limits and its meaning.

The tables come from the same schemas as the CRDs, so that the page, `kubectl explain` and the parser cannot disagree.
Next step: tools/gen_policy.py writes the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bulkhead.policy.locate import DEPTH, DOCUMENT_BYTES, NODES
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.schema import SHORT_NAMES, crd
from bulkhead.policy.support import unenforced

Schema = dict[str, Any]

_BEGIN = f"""\
# Policy reference

Made from the models in agent/bulkhead/policy/model by `make gen-policy`. `kubectl explain securitypolicy.spec` shows
the same texts, `bulkhead policy validate FILE` checks documents against them without a cluster.

Two kinds of objects, both `apiVersion: {API_VERSION}`:

- `SecurityPolicy` (`{SHORT_NAMES["SecurityPolicy"]}`) holds for pods of its own namespace;
- `ClusterSecurityPolicy` (`{SHORT_NAMES["ClusterSecurityPolicy"]}`) for pods of all namespaces.
"""

_MEANING = """\
## What a policy means

A container's policy set is the union of all policies that select it; their order never matters. For one access:

1. an explicit Kill or Deny wins;
2. else an explicit Allow;
3. else the strictest `default` among the policies of the set;
4. else it is allowed.

A rule of action Audit reports and never changes the verdict. A policy of mode Audit takes part in a second, shadow
decision only: what that would deny is reported as WOULD_DENY, and let through.

## Path patterns

Paths are absolute and as the container sees them. Letters are compared as bytes; case matters.

| pattern | stands for |
|---|---|
| `/usr/bin/apt` | that file |
| `/usr/bin/apt*`, `/tmp/?` | `*` any characters, also none, and `?` one, within one element of the path |
| `/srv/**` | everything below /srv, however deep; not /srv itself |
| `/srv/**/keys` | `keys` in /srv or anywhere below it |

`**` stands alone between slashes. Brackets and braces mean themselves: `/usr/bin/[` is a program, `{a,b}` is no choice.
A path has at most 4096 bytes and each of its elements 255; there is no slash at the end, and no `.` or `..`.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([_BEGIN, _MEANING, *_kinds(), *_not_enforced(), *_limits()])


def _kinds() -> Iterator[str]:
    spec, cluster_spec = _spec("SecurityPolicy"), _spec("ClusterSecurityPolicy")
    only = {name: part for name, part in cluster_spec["properties"].items() if name not in spec["properties"]}
    yield "## Fields\n"
    yield "`metadata.name` is required; `metadata.namespace` of a SecurityPolicy is `default` where it is left out.\n"
    yield from _tables("spec", spec, {})
    yield "### spec of a ClusterSecurityPolicy\n\nAll of the above, and:\n"
    yield _table({"properties": only})


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
        f"| `{name}` | {_type(part)}{', required' if name in required else ''} | {_cell(_meaning(part))} |"
        for name, part in schema["properties"].items()
    ]
    return "\n".join(["| field | type | meaning |", "|---|---|---|", *rows, ""])


def _type(schema: Schema) -> str:
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "enum" in schema:
        return "word"
    if "additionalProperties" in schema:
        return "map of text"
    return {"string": "text", "integer": "number", "boolean": "true or false", "object": "object"}[schema["type"]]


def _meaning(schema: Schema) -> str:
    words = schema.get("enum") or schema.get("items", {}).get("enum") or []
    parts = [schema.get("description", "")]
    if words and not all(f"`{word}`" in parts[0] for word in words):
        parts.append(f"One of {', '.join(f'`{word}`' for word in words)}.")
    if schema.get("default") not in (None, False):
        parts.append(f"Default: `{schema['default']}`.")
    if "maxItems" in schema:
        parts.append(f"At most {schema['maxItems']}.")
    if "maxLength" in schema:
        parts.append(f"At most {schema['maxLength']} characters.")
    return " ".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _not_enforced() -> Iterator[str]:
    yield "## Not enforced yet\n"
    yield "A policy that uses one of these is refused as a whole, with the field's name in the reason:\n"
    yield "| field | what |\n|---|---|"
    yield from (f"| `{field}` | {_cell(what)} |" for field, what in unenforced())
    yield ""


def _limits() -> Iterator[str]:
    yield "## Limits of a document\n"
    yield f"{DOCUMENT_BYTES} bytes, {NODES} values once YAML aliases are followed, {DEPTH} levels. Keys stand once.\n"
    yield "Merge keys (`<<`) and tags of applications are refused."
    yield ""
