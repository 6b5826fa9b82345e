"""Whether one policy fits by itself, found out before it takes the place of another.

A policy whose patterns explode, or that has more distinct answers than the maps hold, would be refused on each
container, and one that starts later would have nothing. So it is lowered alone, without a container's mounts and links;
what only does not fit there, or together with other policies, is refused there. Next step: `agent.cluster.policies`,
and `bulkhead policy validate`, which says the same.
"""

from __future__ import annotations

from bulkhead.enforcement.building import build_apart, is_quick
from bulkhead.errors import DoesNotFit, NotEnforceable, Problem
from bulkhead.log import get_log
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.rules import PolicyRules

log = get_log()


def misfit(rules: PolicyRules, place: tuple[str, int], title: str) -> Problem | None:
    """Why a policy cannot be enforced, or None. `place` is its file and line. Takes seconds where it is large.

    Where that cannot be found out now, it is let through, and may be refused on its containers.
    """
    policy_set = merge([rules])
    try:
        lower(policy_set) if is_quick(policy_set) else build_apart(policy_set, ())
    except DoesNotFit as error:
        message = f"does not fit: {error.what}: {error.needed} needed, the limit is {error.limit}"
        remedy = "fewer wildcards within a path, or the policy in two for different pods"
        return Problem(*place, "spec", message, remedy, title)
    except NotEnforceable as error:
        log.warning("policy_not_tried", policy=title, error=str(error))
    return None
