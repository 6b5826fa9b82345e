"""Objects as the API server gives them to the controller."""

from __future__ import annotations

from typing import Any

from bulkhead.controller.state import ControllerState
from bulkhead.kube.policy_key import PolicyKey
from bulkhead.policy.seen import Seen

KEY = PolicyKey("SecurityPolicy", "shop", "no-id")


def node(name: str = "a", boot: str = "boot") -> dict[str, Any]:
    """A Node of a boot."""
    return {"metadata": {"name": name}, "status": {"nodeInfo": {"bootID": boot}}}


def agent(on: str = "a", ready: bool = True) -> dict[str, Any]:
    """An agent's pod."""
    return {
        "metadata": {"uid": f"agent-{on}", "name": f"agent-{on}", "namespace": "bulkhead-system"},
        "spec": {"nodeName": on},
        "status": {"conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def row(generation: int = 1, selected: int = 1, enforced: int = 1, key: PolicyKey = KEY) -> dict[str, Any]:
    """What a NodeState says of a policy."""
    return {
        "kind": key.kind, "namespace": key.namespace, "name": key.name, "generation": generation,
        "selected": selected, "enforced": enforced, "since": "T",
    }  # fmt: skip


def node_state(
    name: str = "a",
    *rows: dict[str, Any],
    heard: tuple[tuple[str, int], ...] = (),
    boot: str = "boot",
    failures: dict[str, str] | None = None,
    behind: tuple[str, ...] = (),
) -> dict[str, Any]:
    """A NodeState whose agent had heard of these versions of SecurityPolicies: (uid, generation)."""
    seen = Seen()
    for version in heard:
        seen.add(*version)
    failed = [{"object": name, "reason": reason, "since": "T"} for name, reason in (failures or {}).items()]
    status = {
        "bootId": boot, "policies": list(rows), "failures": failed, "behind": list(behind),
        "seen": [{"kind": "SecurityPolicy", "digest": seen.word()}],
    }  # fmt: skip
    return {"metadata": {"name": name}, "status": status}


def cluster(*policies: dict[str, Any], nodes: str = "a") -> ControllerState:
    """A state that knows these policies and, of each letter, a Node and an agent that is ready."""
    state = ControllerState()
    state.replace("SecurityPolicy", policies)
    state.replace("ClusterSecurityPolicy", [])
    state.replace("Node", [node(name) for name in nodes])
    state.replace("Pod", [agent(name) for name in nodes])
    state.replace("NodeState", [])
    return state
