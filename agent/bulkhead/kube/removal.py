"""Has the agents of a cluster take everything out of their nodes' kernels: a roll-out of the agent with --remove.

Why a roll-out: the agents are the only ones who may touch their nodes, and a DaemonSet already knows how to reach all
of them and says when it has. Next step: `agent.removal` is what each of them does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.errors import BulkheadError
from bulkhead.kube.client import Api

OPTION = "--remove"
POLL_S = 1.0


@dataclass(frozen=True)
class AgentSet:
    """The agents' DaemonSet."""

    api: Api
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Of the object."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/daemonsets/{self.name}"


def remove_everywhere(agents: AgentSet, timeout_s: float, say: Callable[[str], None]) -> None:
    """Restart all agents with --remove and wait until each has done it.

    Raises `Unreachable`, and `BulkheadError` with the number of nodes behind after `timeout_s`.
    """
    found = agents.api.get(agents.path)
    agents.api.patch(agents.path, changes(found), "application/json-patch+json")
    deadline = time.monotonic() + timeout_s
    told = ""
    while True:
        status = agents.api.get(agents.path)
        clean, wanted = progress(status)
        if f"{clean}/{wanted}" != told:
            told = f"{clean}/{wanted}"
            say(f"{clean} of {wanted} nodes are clean")
        if clean == wanted:
            return
        if time.monotonic() >= deadline:
            raise BulkheadError(
                f"{agents.namespace}/{agents.name}: {wanted - clean} of {wanted} nodes have not removed what they "
                f"enforce after {timeout_s:g} s; it goes on there (remove it as docs/operations.md says)"
            )
        time.sleep(POLL_S)


def changes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The JSON patch: the option, and all nodes at once."""
    arguments = found["spec"]["template"]["spec"]["containers"][0].get("args") or []
    if OPTION in arguments:
        return []
    return [
        {"op": "add", "path": "/spec/template/spec/containers/0/args", "value": [*arguments, OPTION]},
        {
            "op": "add",
            "path": "/spec/updateStrategy",
            "value": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "100%"}},
        },
    ]


def progress(found: Mapping[str, Any]) -> tuple[int, int]:
    """(nodes whose agent has removed everything, nodes with an agent)."""
    status = found.get("status") or {}
    wanted = int(status.get("desiredNumberScheduled", 0))
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return 0, max(wanted, 1)
    return min(int(status.get("updatedNumberScheduled", 0)), int(status.get("numberReady", 0))), wanted
