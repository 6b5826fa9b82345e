"""Kubernetes label selectors, as of meta/v1. What they select is in `policy.select`."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field
from pydantic_core import PydanticCustomError

from bulkhead.policy.labels import Operator
from bulkhead.policy.model.base import MAX_ITEMS, Model
from bulkhead.policy.model.texts import LabelKey, LabelValue
from bulkhead.policy.refusal import refusal


class Requirement(Model):
    """One condition on labels."""

    key: LabelKey = Field(description="The label's key, such as `app.kubernetes.io/name`.")
    operator: Operator = Field(
        description="`In` and `NotIn` compare with `values` (a label that is not there is `NotIn`); `Exists` and "
        "`DoesNotExist` ask for the key alone."
    )
    values: list[LabelValue] = Field(
        default=[], max_length=MAX_ITEMS, description="The values to compare with; for `In` and `NotIn` only."
    )

    def refusals(self) -> Iterator[PydanticCustomError]:
        """Values where the operator takes some, and none where it does not."""
        takes_values = self.operator in ("In", "NotIn")
        if takes_values and not self.values:
            yield refusal(f"{self.operator} without values", "write at least one value", ("values",))
        if self.values and not takes_values:
            yield refusal(f"{self.operator} with values", "leave values out", ("values",))


class LabelSelector(Model):
    """A Kubernetes label selector: everything in it must hold, and an empty one selects everything."""

    match_labels: dict[LabelKey, LabelValue] = Field(
        default={},
        max_length=MAX_ITEMS,
        description="Labels that must be there with exactly these values: `{app: web}`.",
    )
    match_expressions: list[Requirement] = Field(
        default=[], max_length=MAX_ITEMS, description="Conditions on labels, all of which must hold."
    )
