"""What follows for a policy's status from what agents say. Pure; the time is given.

`Accepted`: the document is valid. `Enforced`: every node that runs a container which the policy selects enforces its
newest generation on all of them, as far as every agent has heard of it; Unknown until then. `Degraded`: something about
it is not as it should be, and where. Of many nodes the first few are named. Next step: `controller.telling`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkhead.errors import Problem
from bulkhead.kube.conditions import Condition, condition, continued
from bulkhead.kube.policy_key import PolicyKey

REFUSED = "the newest generation is refused: see Accepted"
NAMED = 5  # nodes in a message: `bulkhead status` has all of them


@dataclass(frozen=True)
class Judged:
    """A policy's newest version. `told` is the status that its object has."""

    key: PolicyKey
    uid: str
    generation: int
    disabled: bool
    problems: tuple[Problem, ...]
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Share:
    """One node's part: how many containers there are selected, how many under `generation`, and why not all.

    `enforced` is 0 where the kernel that it was said of is gone.
    """

    node: str
    generation: int
    selected: int
    enforced: int
    reason: str = ""


@dataclass(frozen=True)
class Fleet:
    """What all nodes say of one policy. `deaf` have not heard of its newest version, `unready` have no ready agent.

    `refusing` have reasons why they do not take it, although the document is valid.
    """

    shares: Sequence[Share] = ()
    deaf: Sequence[str] = ()
    unready: Sequence[str] = ()
    refusing: Mapping[str, str] = field(default_factory=dict)


def status(policy: Judged, fleet: Fleet, now: str) -> dict[str, Any]:
    """The whole status; times are those of what it says already where nothing has changed."""
    desired = sorted((share for share in fleet.shares if share.selected), key=lambda share: share.node)
    behind = [share for share in desired if share.generation != policy.generation or share.enforced < share.selected]
    conditions = (
        condition("Accepted", not (policy.problems or fleet.refusing), *_accepted(policy, fleet, desired), now),
        condition("Enforced", *_enforced(policy, fleet, behind, len(desired)), now),
        condition("Degraded", *_degraded(policy, fleet, behind), now),
    )
    told: Iterable[Condition] = policy.told.get("conditions") or ()
    return {
        "observedGeneration": policy.generation,
        "nodes": {"desired": len(desired), "enforced": len(desired) - len(behind)},
        "conditions": [continued(told, {**each, "observedGeneration": policy.generation}) for each in conditions],
    }


def refusal(policy: Judged, desired: Sequence[Share]) -> str:
    """What is wrong with a policy, and what is in force of it."""
    problems = "; ".join(
        f"{each.field}: {each.message}" + (f" ({each.remedy})" if each.remedy else "") for each in policy.problems
    )
    kept = sorted({share.generation for share in desired if share.enforced})
    if kept:
        return f"{problems}. Generation {', '.join(map(str, kept))} stays enforced"
    return f"{problems}. Nothing of it is enforced"


def _accepted(policy: Judged, fleet: Fleet, desired: Sequence[Share]) -> tuple[str, str]:
    if policy.problems:
        return "Refused", refusal(policy, desired)
    if fleet.refusing:
        told = (f"{node}: {reason}" for node, reason in fleet.refusing.items())
        return "RefusedByNodes", f"{len(fleet.refusing)} nodes: {_listed(told, len(fleet.refusing))}"
    if policy.disabled:
        return "Disabled", "the policy is valid; it is disabled, and nothing of it is enforced"
    return "Valid", "the policy is valid"


def _enforced(policy: Judged, fleet: Fleet, behind: Sequence[Share], desired: int) -> tuple[str, str, str]:
    if policy.problems or fleet.refusing:
        return "False", "Refused" if policy.problems else "RefusedByNodes", REFUSED
    if policy.disabled:
        return "False", "Disabled", "the policy is disabled"
    return _reached(fleet, behind, desired)


def _reached(fleet: Fleet, behind: Sequence[Share], desired: int) -> tuple[str, str, str]:
    if behind:
        return "False", "NodesBehind", f"{len(behind)} of {desired} nodes: {_listed(map(_told, behind), len(behind))}"
    if fleet.deaf:
        named = _listed(fleet.deaf, len(fleet.deaf))
        return "Unknown", "NotHeard", f"{len(fleet.deaf)} nodes have not heard of this generation yet: {named}"
    if not desired:
        return "True", "NothingSelected", "no node runs a container that the policy selects"
    return "True", "Enforced", f"{desired} nodes run containers that the policy selects, and enforce it on all of them"


def _degraded(policy: Judged, fleet: Fleet, behind: Sequence[Share]) -> tuple[str, str, str]:
    failing = [share for share in behind if share.reason]
    if failing:
        return "True", "Failing", f"{len(failing)} nodes: {_listed(map(_why, failing), len(failing))}"
    if fleet.unready:
        named = _listed(fleet.unready, len(fleet.unready))
        return "True", "AgentsNotReady", (
            f"{len(fleet.unready)} nodes have no agent that is ready: {named}. What was enforced there goes on, "
            "changes and new containers wait"
        )  # fmt: skip
    if policy.problems or fleet.refusing:
        return "True", "Refused", REFUSED
    return "False", "AsExpected", "nothing is in the way"


def _told(share: Share) -> str:
    return f"{share.node} enforces generation {share.generation} on {share.enforced} of {share.selected} containers"


def _why(share: Share) -> str:
    return f"{share.node}: {share.reason}"


def _listed(names: Iterable[str], count: int) -> str:
    shown = "; ".join(name for name, _ in zip(names, range(NAMED), strict=False))
    return f"{shown}; and {count - NAMED} more" if count > NAMED else shown
