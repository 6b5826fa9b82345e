"""What is kept of a policy in force, and by whom it is found."""

from __future__ import annotations

from bulkhead.agent.cluster.accepted import Accepted, InForce, accept
from bulkhead.kube.policy_key import PolicyKey
from bulkhead.policy.model import API_VERSION, SECTIONS
from bulkhead.policy.parse import parse_object
from bulkhead.policy.resolve import resolve
from tests.unit.agent.cluster.objects import policy


def made(kind: str, namespace: str, name: str) -> Accepted:
    """A policy in force."""
    value = policy() | {"apiVersion": API_VERSION, "kind": kind}
    value["metadata"] = value["metadata"] | {"name": name, "namespace": namespace}
    if not namespace:
        del value["metadata"]["namespace"]
    (parsed,) = parse_object(value, name).policies
    return accept(PolicyKey(kind, namespace, name), parsed, value)


def test_what_was_packed_says_the_same() -> None:
    """The rules come out as the document gives them, once; the selectors are at hand without them."""
    value = policy() | {"apiVersion": API_VERSION, "kind": "SecurityPolicy"}
    (parsed,) = parse_object(value, "").policies
    accepted = accept(PolicyKey("SecurityPolicy", "shop", "no-id"), parsed, value)
    assert accepted.rules == resolve(parsed)
    assert accepted.rules is accepted.rules
    assert accepted.policy.spec.pod_selector == parsed.spec.pod_selector
    assert [getattr(accepted.policy.spec, section) for section in SECTIONS] == [None] * len(SECTIONS)
    assert parsed.spec.exec is not None, "the policy that was read stays whole"


def test_policies_are_asked_by_namespace() -> None:
    """Those of the pod's, and cluster-wide ones before them; the order does not depend on how they came."""
    here, there = made("SecurityPolicy", "shop", "b"), made("SecurityPolicy", "bank", "a")
    first, everywhere = made("SecurityPolicy", "shop", "a"), made("ClusterSecurityPolicy", "", "z")
    in_force = InForce([here, there, everywhere, first])
    assert in_force.of("shop") == (everywhere, first, here)
    assert in_force.of("elsewhere") == (everywhere,)
    assert in_force.all() == (everywhere, there, first, here)
