"""Whether a policy selects a container, or the node itself. Pure.

The meaning of label selectors is the Kubernetes API's (`policy.labels`).

Next step: `bulkhead.agent.desired`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from bulkhead.policy.labels import requirement_holds
from bulkhead.policy.model import SECTIONS, ClusterSecurityPolicy, ClusterSpec, LabelSelector, Policy
from bulkhead.policy.pattern_steps import Patterns

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Candidate:
    """A container as selectors see it: its pod's namespace and labels, its namespace's, its name, its node's labels.

    Labels of the namespace and of the node are None where nobody has told them yet, which is not the same as none.
    """

    namespace: str = ""
    labels: Labels = field(default_factory=dict, hash=False)
    namespace_labels: Labels | None = field(default_factory=dict, hash=False)
    container: str = ""
    node_labels: Labels | None = field(default_factory=dict, hash=False)


def selects(policy: Policy, candidate: Candidate) -> bool | None:
    """Whether the policy holds for the container; None where that depends on labels that are not known."""
    return names_container(policy, candidate.container) and selects_pod(policy, candidate)


def names_container(policy: Policy, container: str) -> bool:
    """Whether the policy holds for containers of that name, in whatever pod."""
    named = policy.spec.containers
    return not named or any(fnmatchcase(container, pattern) for pattern in named)


def selects_pod(policy: Policy, candidate: Candidate) -> bool | None:
    """Whether the policy holds for containers of that pod, however they are called; None as in `selects`."""
    if is_of_hosts(policy):
        return False
    if not selector_matches(policy.spec.pod_selector, candidate.labels):
        return False
    if not isinstance(policy, ClusterSecurityPolicy):
        return candidate.namespace in ("", policy.namespace)
    answers = (
        _matches_if_known(policy.spec.namespace_selector, candidate.namespace_labels),
        _matches_if_known(policy.spec.node_selector, candidate.node_labels),
    )
    return False if False in answers else None if None in answers else True


def without_rules(policy: Policy) -> Policy:
    """The policy as far as this module looks at it: what it forbids may take a hundred times the memory."""
    return policy.model_copy(update={"spec": policy.spec.model_copy(update=dict.fromkeys(SECTIONS))})


def is_of_hosts(policy: Policy) -> bool:
    """Whether the policy is about the nodes' own processes, and about no pod."""
    return isinstance(policy, ClusterSecurityPolicy) and policy.spec.host_processes is not None


def selects_host(policy: Policy, node_labels: Labels | None) -> bool | None:
    """Whether the policy holds for processes of the node; None where that depends on labels that are not known."""
    if not isinstance(policy, ClusterSecurityPolicy) or policy.spec.host_processes is None:
        return False
    return _matches_if_known(policy.spec.node_selector, node_labels)


def cgroup_patterns(policy: Policy) -> Patterns:
    """Those of the cgroups that the policy names; the root, which holds all, where it names none."""
    spec = policy.spec
    named = spec.host_processes.cgroups if isinstance(spec, ClusterSpec) and spec.host_processes else []
    return Patterns([text.encode("utf-8", "surrogateescape") for text in named or ["/"]])


def _matches_if_known(selector: LabelSelector, labels: Labels | None) -> bool | None:
    """Known labels are asked; a selector that says nothing selects whatever they are."""
    if labels is not None:
        return selector_matches(selector, labels)
    return None if selector.match_labels or selector.match_expressions else True


def selector_matches(selector: LabelSelector, labels: Labels) -> bool:
    """Whether all of a selector holds for labels."""
    exact = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return exact and all(
        requirement_holds(each.operator, labels.get(each.key), each.values) for each in selector.match_expressions
    )
