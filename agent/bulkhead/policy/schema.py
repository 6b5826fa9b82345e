"""CustomResourceDefinitions from the models: structural schemas, as the API server wants them.

What pydantic makes of a model is JSON schema with references and with null where a field may be absent; a structural
schema (apiextensions.k8s.io/v1) has neither, says no `additionalProperties` beside `properties`, and gives every value
one type. What the API server cannot check, the agent says in the policy's status. Next step: `policy.schema_rules`, and
tools/gen_policy.py.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from bulkhead.policy.model import API_VERSION, KINDS
from bulkhead.policy.model.status import Status
from bulkhead.policy.schema_rules import rules_of

Schema = dict[str, Any]

GROUP, VERSION = API_VERSION.split("/")
SHORT_NAMES = {"SecurityPolicy": "secpol", "ClusterSecurityPolicy": "csecpol"}
_CARRIED = (
    "type", "description", "enum", "format", "pattern", "minimum", "maximum", "minItems", "maxItems",
    "minLength", "maxLength", "minProperties", "maxProperties", "required", "not",
)  # fmt: skip
# A selector is one value: two writers must not each contribute a half of it (server-side apply).
_ATOMIC = frozenset({"LabelSelector", "Requirement"})


def structural_schema(model: type[BaseModel]) -> Schema:
    """The schema of one model, in which every reference is replaced by what it refers to."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema, name = _resolved(schema, definitions)
    structural = {key: schema[key] for key in _CARRIED if key in schema and schema[key] not in (None, "", [], {})}
    if isinstance(schema.get("default"), bool | str) and schema["default"] != "":
        structural["default"] = schema["default"]
    if "const" in schema:
        structural["enum"] = [schema["const"]]
    if "properties" in schema:
        structural["properties"] = {key: _structural(part, definitions) for key, part in schema["properties"].items()}
    elif structural.get("type") == "object":
        (values,) = schema["patternProperties"].values()  # the keys' form is checked by the agent only
        structural["additionalProperties"] = _structural(values, definitions)
    if "items" in schema:
        structural["items"] = _structural(schema["items"], definitions)
        structural["x-kubernetes-list-type"] = "atomic"
    if structural.get("type") == "integer":
        structural.setdefault("format", "int32")
    if name in _ATOMIC:
        structural["x-kubernetes-map-type"] = "atomic"
    return structural | rules_of(name)


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> tuple[Schema, str]:
    """The schema without references and null, and the name of the model that it was one of, if any.

    What a field says of itself wins over what its model says.
    """
    name = ""
    own = schema
    if "anyOf" in own:
        (present,) = (each for each in own["anyOf"] if each.get("type") != "null")
        own = {**present, **{key: value for key, value in own.items() if key not in ("anyOf", "default")}}
    if "$ref" in own:
        name = own["$ref"].rsplit("/", maxsplit=1)[-1]
        own = {**definitions[name], **{key: value for key, value in own.items() if key != "$ref"}}
    return own, name


def crd(kind: str) -> Schema:
    """The CustomResourceDefinition of one kind of policy."""
    return definition(kind, f"{kind[:-1].lower()}ies", SHORT_NAMES[kind], kind == "SecurityPolicy", _version(kind))


def definition(kind: str, plural: str, short_name: str, namespaced: bool, version: Schema) -> Schema:
    """A CustomResourceDefinition with one version."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short_name],
                "categories": ["bulkhead"],
            },
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [version],
        },
    }


def _version(kind: str) -> Schema:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            column("Mode", ".spec.mode", "Whether the policy blocks."),
            column("Severity", ".spec.severity", "How much a violation matters."),
            column("Accepted", condition_path("Accepted"), "Whether the document is valid."),
            column("Enforced", condition_path("Enforced"), "Whether every node that should enforce it does."),
            column("Nodes", ".status.nodes.enforced", "Nodes that enforce it.", "integer"),
            column("Desired", ".status.nodes.desired", "Nodes that should.", "integer"),
            column("Age", ".metadata.creationTimestamp", "Since when it exists.", "date"),
        ],
    }


def _object(kind: str) -> Schema:
    """The whole object. What the API server itself checks of apiVersion, kind and metadata is left to it."""
    whole = structural_schema(KINDS[kind])
    return {
        "type": "object",
        "description": whole["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"`{API_VERSION}`."},
            "kind": {"type": "string", "description": f"`{kind}`."},
            "metadata": {"type": "object"},
            "spec": whole["properties"]["spec"],
            "status": _status(),
        },
    }


def _status() -> Schema:
    status = with_conditions(structural_schema(Status))
    status["properties"]["observedGeneration"]["format"] = "int64"
    return status


def with_conditions(status: Schema) -> Schema:
    """A status whose `conditions` are a map by type, so that their writers do not overwrite each other's."""
    conditions = status["properties"]["conditions"]
    conditions |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}
    conditions["items"]["properties"]["observedGeneration"]["format"] = "int64"
    return status


def condition_path(name: str) -> str:
    """Where the status of a condition is."""
    return f'.status.conditions[?(@.type=="{name}")].status'


def column(name: str, path: str, description: str, kind: str = "string") -> Schema:
    """A column of `kubectl get`."""
    return {"name": name, "type": kind, "jsonPath": path, "description": description}
