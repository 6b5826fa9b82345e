"""The rules that hold whatever the policy says: no container under a policy may touch what enforces it, and where
containers start strictly, none may start that nobody has told of.

They decide in the kernel (probes/include/tampering.h, probes/start.bpf.c); here are the names under which violations
tell of them. Next step: `bulkhead.enforcement.enforcer` knows them beside the rules of sets.
"""

from __future__ import annotations

from bulkhead.abi import BuiltIn
from bulkhead.policy.rules import RuleReference

_TAMPERING = {
    BuiltIn.AGENT: "the agent's process",
    BuiltIn.OBJECTS: "maps, programs and links of Bulkhead",
    BuiltIn.PINS: "pins of Bulkhead",
    BuiltIn.CGROUPS: "a cgroup that is not the container's own or below it",
}
_UNKNOWN = "a container that starts while no agent can put it under its policies (start: Strict)"

BUILT_IN = {
    int(rule): RuleReference("", "bulkhead", "tampering", rule.name.lower(), severity="Critical", message=message)
    for rule, message in _TAMPERING.items()
} | {int(BuiltIn.START): RuleReference("", "bulkhead", "start", "strict", severity="High", message=_UNKNOWN)}
