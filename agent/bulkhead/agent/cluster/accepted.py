"""Policies in force, kept small: a cluster may have ten thousand, of which a node's containers are under some.

Of each its selectors are at hand; its rules are packed until it selects something. Next step: `agent.cluster.source`
asks which policies may select a container.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bulkhead.kube.policy_key import PolicyKey
from bulkhead.policy.model import Policy
from bulkhead.policy.parse import parse_object
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PolicyRules
from bulkhead.policy.select import without_rules


@dataclass(frozen=True)
class Accepted:
    """A policy in force, at one generation of its object. `policy` is without its rules, `packed` its document."""

    key: PolicyKey
    generation: int
    policy: Policy
    packed: bytes

    def document(self) -> dict[str, Any]:
        """As it was written, without its status."""
        found: dict[str, Any] = json.loads(zlib.decompress(self.packed))
        return found

    @cached_property
    def rules(self) -> PolicyRules:
        """What it says. Takes milliseconds, or a second where it is large, the first time."""
        (policy,) = parse_object(self.document(), str(self.key)).policies
        return resolve(policy)


def accept(key: PolicyKey, policy: Policy, document: Mapping[str, Any]) -> Accepted:
    """`policy` is what `document` was read as."""
    generation = int(document["metadata"]["generation"])
    return Accepted(key, generation, without_rules(policy), zlib.compress(json.dumps(document).encode()))


class InForce:
    """All policies in force, found by the namespace of the pods that they may select, in a fixed order."""

    def __init__(self, accepted: Iterable[Accepted]) -> None:
        by_namespace: dict[str, list[Accepted]] = {}
        for each in sorted(accepted, key=lambda each: each.key):
            by_namespace.setdefault(each.key.namespace, []).append(each)
        self._everywhere = tuple(by_namespace.pop("", ()))
        self._by_namespace = {name: tuple(found) for name, found in by_namespace.items()}
        self._together = {name: self._everywhere + found for name, found in self._by_namespace.items()}

    def of(self, namespace: str) -> tuple[Accepted, ...]:
        """Those that may select pods of a namespace."""
        return self._together.get(namespace, self._everywhere)

    def all(self) -> tuple[Accepted, ...]:
        """Every one."""
        return sum(self._by_namespace.values(), self._everywhere)
