"""Validation errors in words that say how to mend the document. Pure. Next step: `policy.parse`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from bulkhead.policy.refusal import KIND, did_you_mean

Path = tuple[str | int, ...]

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
# In this order: True is an int, too.
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "empty"),
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number with a point"),
    (str, "text"),
    (list, "a list"),
    (dict, "a mapping"),
)
_REMEDIES = {"too_long": "split it into several rules or policies", "string_too_long": "shorten it"}
_SHOWN_CHARACTERS = 60


def describe(error: Mapping[str, Any]) -> tuple[Path, str, str]:
    """Path, message and remedy of one of pydantic's errors (ValidationError.errors())."""
    kind, context = str(error["type"]), error.get("ctx", {})
    path = tuple(part for part in error["loc"] if part != "[key]")  # what is wrong with a key is said of its entry
    if kind == KIND:
        return (*path, *context["at"]), context["message"], context["remedy"]
    if kind == "extra_forbidden":
        return path, "is not a field that is known", did_you_mean(str(path[-1]), _fields())
    if kind == "missing":
        return path, "is missing", f"write {path[-1]}: it has no default"
    if kind == "literal_error":
        known = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
        return path, f"{_shown(error['input'])} is not one of its words", did_you_mean(str(error["input"]), known)
    if kind in _TYPES:
        return path, f"is {_kind_of(error['input'])}", f"write {_TYPES[kind]}"
    return path, _limits(kind, context, error), _REMEDIES.get(kind, "")


def _limits(kind: str, context: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    shown = _shown(error["input"])
    wordings = {
        "too_short": "is empty",
        "string_too_short": "is empty text",
        "too_long": f"has {context.get('actual_length')} entries, the limit is {context.get('max_length')}",
        "string_too_long": f"is longer than {context.get('max_length')} characters",
        "less_than_equal": f"{shown} is over {context.get('le')}",
        "greater_than_equal": f"{shown} is under {context.get('ge')}",
        "string_pattern_mismatch": f"{shown} has characters or an end that a name cannot have",
    }
    return wordings.get(kind, str(error["msg"]))


def _kind_of(value: object) -> str:
    for kind, words in _KINDS:
        if isinstance(value, kind):
            return words
    return f"a {type(value).__name__}"


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


@cache
def _fields() -> list[str]:
    """Every field name of the language."""
    from pydantic.fields import FieldInfo  # noqa: PLC0415

    from bulkhead.policy import model  # noqa: PLC0415

    names: set[str] = set()
    for each in vars(model).values():
        if isinstance(each, type) and issubclass(each, model.Model):
            fields: dict[str, FieldInfo] = each.model_fields
            names |= {info.alias or name for name, info in fields.items()}
    return sorted(names)
