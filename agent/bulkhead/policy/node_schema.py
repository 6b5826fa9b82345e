"""The CustomResourceDefinition of NodeState. Next step: tools/gen_policy.py."""

from __future__ import annotations

from bulkhead.policy.model import API_VERSION
from bulkhead.policy.model.node_state import NodeState
from bulkhead.policy.schema import Schema, column, condition_path, definition, structural_schema, with_conditions

KIND = "NodeState"


def node_state_crd() -> Schema:
    """One object a node."""
    whole = structural_schema(NodeState)
    status = with_conditions(whole["properties"]["status"])
    version = {
        "name": API_VERSION.split("/")[1],
        "served": True,
        "storage": True,
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "description": whole["description"],
                "properties": {
                    "apiVersion": {"type": "string", "description": f"`{API_VERSION}`."},
                    "kind": {"type": "string", "description": f"`{KIND}`."},
                    "metadata": {"type": "object"},
                    "status": status,
                },
            }
        },
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            column("Ready", condition_path("Ready"), "Whether the agent enforces what the API server tells."),
            column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why, in one word."),
            column("Kernel", ".status.kernel", "The kernel's release."),
            column("Version", ".status.agentVersion", "The agent's version."),
            column("Age", ".metadata.creationTimestamp", "Since when the agent tells.", "date"),
        ],
    }
    return definition(KIND, "nodestates", "bhnode", namespaced=False, version=version)
