"""What all parts of a document have in common: strictness, and checks that see a whole part. Next: `policy.model`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

# Limits on lists. They bound what one policy costs to read and to lower; a set may hold many policies.
MAX_RULES = 10_000
MAX_PATTERNS = 1_000
MAX_ITEMS = 256
MAX_PORTS = 64  # few enough for the API server to compare the ends of each


class Model(BaseModel):
    """Names in camelCase, nothing unknown, no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    def refusals(self) -> Iterator[PydanticCustomError]:
        """What is wrong with the part as a whole (`policy.refusal`), where each field by itself is right."""
        yield from ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        found = [InitErrorDetails(type=each, loc=(), input=None) for each in self.refusals()]
        if found:
            raise ValidationError.from_exception_data(type(self).__name__, found)
        return self
