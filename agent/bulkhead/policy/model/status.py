"""What the controller says in a policy's `status`. Written by it only: the parser drops it from documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bulkhead.policy.model.base import Model


class Condition(Model):
    """One statement, in the form that Kubernetes gives to conditions."""

    type: Annotated[str, Field(max_length=316)] = Field(
        description="Of a policy `Accepted`: it is valid; `Enforced`: every node that should enforce it does; "
        "`Degraded`: something is in the way. Of a node `Ready`: its agent enforces."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it is so.")
    reason: str = Field(max_length=1024, description="Why, in one word.")
    message: str = Field(max_length=32768, description="Why, in words: every problem found, or the nodes behind.")
    last_transition_time: Annotated[str, Field(json_schema_extra={"format": "date-time"})] = Field(
        description="When `status` last changed."
    )
    observed_generation: int | None = Field(default=None, description="The generation that this was said of.")


class Nodes(Model):
    """How far enforcement has come."""

    desired: int = Field(description="Nodes that run a container which the policy selects.")
    enforced: int = Field(description="Those of them that enforce the policy's current generation.")


class Status(Model):
    """What the controller sums up of what agents say."""

    observed_generation: int | None = Field(default=None, description="The generation that was looked at last.")
    conditions: list[Condition] = Field(
        default=[], max_length=16, description="`Accepted`, `Enforced`, `Degraded`, and why."
    )
    nodes: Nodes | None = Field(default=None, description="How many nodes enforce the policy.")
