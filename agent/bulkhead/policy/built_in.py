"""The rules that hold for every container under a policy, whatever the policy says: it may not touch what enforces it.

They decide in the kernel (probes/include/tampering.h); here are the names under which violations tell of them. Next
step: `bulkhead.enforcement.enforcer` knows them beside the rules of sets.
"""

from __future__ import annotations

from bulkhead.abi import BuiltIn
from bulkhead.policy.rules import RuleReference

_MESSAGES = {
    BuiltIn.AGENT: "the agent's process",
    BuiltIn.OBJECTS: "maps, programs and links of Bulkhead",
    BuiltIn.PINS: "pins of Bulkhead",
    BuiltIn.CGROUPS: "a cgroup that is not the container's own or below it",
}

BUILT_IN = {
    int(rule): RuleReference("", "bulkhead", "tampering", rule.name.lower(), severity="Critical", message=message)
    for rule, message in _MESSAGES.items()
}
