"""Which policy of a cluster: a key that everybody who speaks of one uses. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

POLICY_KINDS = ("SecurityPolicy", "ClusterSecurityPolicy")


@dataclass(frozen=True, order=True)
class PolicyKey:
    """The namespace is empty where the kind has none."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}".replace(" /", " ")


def key_of(kind: str, value: Mapping[str, Any]) -> PolicyKey:
    """The key of an object of a kind."""
    metadata = value["metadata"]
    return PolicyKey(kind, metadata.get("namespace", ""), metadata["name"])
