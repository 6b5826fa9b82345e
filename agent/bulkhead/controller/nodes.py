"""What agents say of their nodes, read from NodeState objects, from Nodes and from the agents' pods. Pure.

A NodeState of another boot than the node's own is of a kernel that is gone: what it says is enforced is not. A
NodeState whose Node is gone says nothing any more. Next step: `controller.state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkhead.kube.conditions import find
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey


@dataclass(frozen=True)
class Row:
    """How far one policy is enforced on one node."""

    generation: int
    selected: int
    enforced: int


@dataclass(frozen=True)
class NodeView:
    """What one NodeState says. `seen` has a word a kind of policy.

    `failures` has reasons by container, `refusals` by policy as its key is written: the agent does not take its newest
    version, which it may know by its kernel only, or by trying.
    """

    name: str
    boot_id: str = ""
    rows: Mapping[PolicyKey, Row] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    refusals: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AgentPod:
    """One agent's pod: where it is, and whether it enforces what it should."""

    node: str
    ready: bool


def parse_node_state(value: Mapping[str, Any]) -> NodeView:
    """A NodeState object; one without a status says nothing yet."""
    status = value.get("status") or {}
    failed = {each["object"]: each["reason"] for each in status.get("failures") or ()}
    refusals = {name: reason for name, reason in failed.items() if name.startswith(POLICY_KINDS)}
    return NodeView(
        name=value["metadata"]["name"],
        boot_id=status.get("bootId", ""),
        rows={
            PolicyKey(row["kind"], row.get("namespace", ""), row["name"]): Row(
                row["generation"], row["selected"], row["enforced"]
            )
            for row in status.get("policies") or ()
        },
        seen={each["kind"]: each["digest"] for each in status.get("seen") or ()},
        failures={name: reason for name, reason in failed.items() if name not in refusals},
        refusals=refusals,
    )


def parse_agent(value: Mapping[str, Any]) -> AgentPod:
    """A Pod of an agent. One that is being deleted, or on no node yet, is not ready."""
    conditions = (value.get("status") or {}).get("conditions") or ()
    ready = find(conditions, "Ready").get("status") == "True" and "deletionTimestamp" not in value["metadata"]
    return AgentPod((value.get("spec") or {}).get("nodeName", ""), ready)


def boot_id(value: Mapping[str, Any]) -> str:
    """A Node's, as its kubelet says."""
    return str(((value.get("status") or {}).get("nodeInfo") or {}).get("bootID", ""))
