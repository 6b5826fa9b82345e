"""What an agent says of its node: the object NodeState, one a node, named after it. Written by that agent only."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bulkhead.policy.model.base import Model
from bulkhead.policy.model.status import Condition

# An object is at most 1.5 MiB: these are 1,000 times some 200 bytes, 50 times at most 2 KiB, 100 times 512 bytes.
MAX_POLICIES = 1_000
MAX_FAILURES = 50
MAX_BEHIND = 100
MAX_REASON = 2_048
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class PolicyOnNode(Model):
    """How far one policy is enforced on the node."""

    kind: str = Field(max_length=63, description="`SecurityPolicy` or `ClusterSecurityPolicy`.")
    namespace: str = Field(default="", max_length=63, description="The policy's namespace, where it has one.")
    name: str = Field(max_length=253, description="The policy's name.")
    generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] = Field(
        description="The generation that is enforced; the policy's own may be newer, where that is refused."
    )
    selected: int = Field(
        description="Running containers of the node that the policy selects, or cgroups of the node's own processes."
    )
    enforced: int = Field(description="Those of them on which this generation is in force.")
    since: Time = Field(description="Since when these numbers and this generation hold.")


class Failure(Model):
    """Something that is not enforced, and why."""

    object: str = Field(
        max_length=512,
        description="Which policy (`SecurityPolicy shop/web`), container (`shop/web-0/web`) or cgroup (`/user.slice`).",
    )
    reason: str = Field(max_length=MAX_REASON, description="Why, and what stays enforced.")
    since: Time = Field(description="Since when.")


class SeenPolicies(Model):
    """Which versions of the policies of one kind the agent knew when it looked last."""

    kind: str = Field(max_length=63, description="`SecurityPolicy` or `ClusterSecurityPolicy`.")
    digest: str = Field(max_length=64, description="A word for the set of their uids and generations.")


class NodeStatus(Model):
    """What is true of the node."""

    agent_version: str = Field(max_length=63, description="The agent's version.")
    kernel: str = Field(max_length=255, description="The kernel's release.")
    boot_id: str = Field(max_length=63, description="The kernel's boot id: another one is another boot.")
    conditions: list[Condition] = Field(
        default=[],
        max_length=8,
        description="`Ready`: the agent enforces what the API server tells, or why it does not. `StrictStarts`, where "
        "a namespace asks for it: containers that no agent has told of do not start, and since when, or why they do.",
    )
    policies: list[PolicyOnNode] = Field(
        default=[], max_length=MAX_POLICIES, description="Policies that hold for something on the node."
    )
    seen: list[SeenPolicies] = Field(
        default=[],
        max_length=2,
        description="What the agent knew of policies: one of which it says nothing selects nothing here.",
    )
    behind: list[Annotated[str, Field(max_length=512)]] = Field(
        default=[],
        max_length=MAX_BEHIND,
        description="Running containers (`shop/web-0/web`), and cgroups of the node's own processes (`/system.slice`), "
        "that are not under all that selects them; the first 100 by name.",
    )
    failures: list[Failure] = Field(
        default=[], max_length=MAX_FAILURES, description="What is not enforced; the first 50 by name."
    )


class NodeState(Model):
    """What Bulkhead's agent says of its node: what it enforces, and what not and why. One a node, of its name."""

    status: NodeStatus = Field(description="What is true of the node. Written by its agent only.")
