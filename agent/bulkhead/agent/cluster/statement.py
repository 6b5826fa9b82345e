"""What an agent says of its node, as the object that it writes. Pure; times are given.

The numbers are those of what was put into force, not of what should be: a container counts as enforced when its newest
assignment was made so. Next step: `agent.cluster.telling` writes what is made here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bulkhead import __version__
from bulkhead.agent.cluster.accepted import Accepted
from bulkhead.agent.cluster.host import OfNode
from bulkhead.agent.cluster.policies import Known
from bulkhead.agent.cluster.selection import Selected
from bulkhead.agent.source import Assignment
from bulkhead.agent.sync import Failure
from bulkhead.kube.policy_key import PolicyKey
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.model.node_state import MAX_BEHIND, MAX_FAILURES, MAX_POLICIES, MAX_REASON


@dataclass(frozen=True)
class NodeFacts:
    """What does not change while the agent runs."""

    name: str
    kernel: str
    boot_id: str


@dataclass(frozen=True)
class Enforcement:
    """What was found at one moment: policies, the containers that they select, what is in force, what failed.

    `placed` has what policies select, by cgroup id. `seen` has a word a kind for the policies that were known when
    containers were selected (`policy.seen`).
    """

    policies: Mapping[PolicyKey, Known]
    placed: Mapping[int, Selected | OfNode]
    applied: Mapping[int, Assignment]
    failures: tuple[Failure, ...]
    seen: Mapping[str, str] = field(default_factory=dict)


class Since:
    """Since when each thing is as it is: times that outlive what is said in between, while it is said each time."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, str]] = {}
        self._asked: dict[str, tuple[object, str]] = {}

    def of(self, name: str, value: object, now: str) -> str:
        """When `name` became `value`."""
        known = self._known.get(name)
        if known is None or known[0] != value:
            known = (value, now)
        self._asked[name] = known
        return known[1]

    def forget_unasked(self) -> None:
        """A statement is complete: what it did not speak of is over."""
        self._known, self._asked = self._asked, {}


def node_state(
    facts: NodeFacts, found: Enforcement, conditions: list[dict[str, Any]], since: Since, now: str
) -> dict[str, Any]:
    """The object NodeState."""
    rows = [_policy(accepted, selected, found) for accepted, selected in _by_policy(found)]
    policies = [{**row, "since": since.of(f"policy {key}", row, now)} for key, row in rows]
    failures = [
        {"object": name, "reason": reason[:MAX_REASON], "since": since.of(f"failure {name}", reason, now)}
        for name, reason in sorted(_failures(found, len(policies)))
    ]
    since.forget_unasked()
    return {
        "apiVersion": API_VERSION,
        "kind": "NodeState",
        "metadata": {"name": facts.name},
        "status": {
            "agentVersion": __version__,
            "kernel": facts.kernel,
            "bootId": facts.boot_id,
            "conditions": conditions,
            "policies": policies[:MAX_POLICIES],
            "seen": [{"kind": kind, "digest": digest} for kind, digest in sorted(found.seen.items())],
            "behind": _behind(found)[:MAX_BEHIND],
            "failures": failures[:MAX_FAILURES],
        },
    }


def refusal(known: Known) -> str:
    """What is wrong with a policy, and what is in force of it."""
    problems = "; ".join(
        f"{each.field}: {each.message}" + (f" ({each.remedy})" if each.remedy else "") for each in known.problems
    )
    if known.accepted:
        return f"{problems}. Generation {known.accepted.generation} stays enforced"
    return f"{problems}. Nothing of it is enforced"


def _by_policy(found: Enforcement) -> Iterable[tuple[Accepted, list[int]]]:
    """Each policy that selects something here, or may select it, and the cgroup ids of that."""
    selected: dict[PolicyKey, tuple[Accepted, list[int]]] = {}
    for identifier, each in found.placed.items():
        for accepted in (*each.policies, *each.undecided):
            selected.setdefault(accepted.key, (accepted, []))[1].append(identifier)
    return [selected[key] for key in sorted(selected)]


def _policy(accepted: Accepted, selected: list[int], found: Enforcement) -> tuple[PolicyKey, dict[str, Any]]:
    key = accepted.key
    return key, {
        "kind": key.kind,
        "namespace": key.namespace,
        "name": key.name,
        "generation": accepted.generation,
        "selected": len(selected),
        "enforced": sum(_is_enforced(key, identifier, found) for identifier in selected),
    }


def _is_enforced(key: PolicyKey, identifier: int, found: Enforcement) -> bool:
    applied, selected = found.applied.get(identifier), found.placed[identifier]
    is_decided = all(each.key != key for each in selected.undecided)
    return is_decided and applied is not None and applied.policies == selected.rules


def _behind(found: Enforcement) -> list[str]:
    """The containers that are not under all that selects them, as failures name them."""
    return sorted(
        each.title
        for identifier, each in found.placed.items()
        if not all(_is_enforced(policy.key, identifier, found) for policy in (*each.policies, *each.undecided))
    )


def _failures(found: Enforcement, policies: int) -> Iterable[tuple[str, str]]:
    for key, known in found.policies.items():
        if known.problems:
            yield str(key), refusal(known)
    for each in found.placed.values():
        if each.missing:
            yield each.title, each.missing
    for failure in found.failures:
        yield failure.assignment.container.name, failure.reason
    if policies > MAX_POLICIES:
        yield (
            "NodeState",
            f"{policies} policies select containers here; the first {MAX_POLICIES} are told, all are enforced",
        )
