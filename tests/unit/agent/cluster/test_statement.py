"""What the agent says is what is in force, not what should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkhead.agent.cluster.pods import parse_pod
from bulkhead.agent.cluster.policies import Policies
from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.agent.cluster.selection import Selected
from bulkhead.agent.cluster.statement import Enforcement, NodeFacts, Since, node_state
from bulkhead.agent.source import Assignment
from bulkhead.agent.sync import Failure
from bulkhead.kube.conditions import condition
from bulkhead.kube.policy_key import PolicyKey
from bulkhead.node.container import Container
from bulkhead.policy.model.node_state import NodeState
from tests.unit.agent.cluster.objects import broken, cluster_policy, pod, policy

KEY = PolicyKey("SecurityPolicy", "shop", "no-id")
CONTAINER = Container("shop/web-0/web", Path("/c"), 7)
FACTS = NodeFacts("vm0", "6.12", "boot")


def found(tmp_path: Path, *, applied: bool, failures: tuple[str, ...] = (), value: Any = None) -> Enforcement:
    """One policy that selects one container."""
    policies = Policies(SealedFolder(tmp_path))
    policies.replace("SecurityPolicy", [policy()])
    if value:
        policies.put(KEY, value)
    accepted = policies.in_force().all()
    rules = tuple(each.rules for each in accepted)
    parsed = parse_pod(pod())
    placed = {7: Selected(parsed, parsed.containers[0], accepted, rules)}
    assignment = Assignment(CONTAINER, rules)
    failed = tuple(Failure(assignment, reason, 0.0) for reason in failures)
    return Enforcement(policies.known(), placed, {7: assignment} if applied else {}, failed)


def test_a_policy_that_may_select_a_container_is_not_enforced_on_it(tmp_path: Path) -> None:
    """As long as that is not known; one that is known to, is."""
    enforcement = found(tmp_path, applied=True)
    policies = Policies(SealedFolder(tmp_path / "cluster"))
    policies.replace("ClusterSecurityPolicy", [cluster_policy()])
    (selected,) = enforcement.placed.values()
    unsure = replace(selected, undecided=policies.in_force().all(), unknown="not known yet")
    rows = stated(replace(enforcement, placed={7: unsure}))["policies"]
    assert [(row["name"], row["selected"], row["enforced"]) for row in rows] == [("front", 1, 0), ("no-id", 1, 1)]


def stated(enforcement: Enforcement, since: Since | None = None, now: str = "T1") -> dict[str, Any]:
    """The status."""
    ready = condition("Ready", True, "Enforcing", "", "T0")
    body = node_state(FACTS, enforcement, [ready], since or Since(), now)
    NodeState.model_validate({"status": body["status"]})  # what the schema of the CRD is made from
    return dict(body["status"])


def test_a_container_counts_when_its_newest_set_is_in_force(tmp_path: Path) -> None:
    """Selected is not enforced."""
    for applied in (False, True):
        (row,) = stated(found(tmp_path, applied=applied))["policies"]
        assert (row["selected"], row["enforced"], row["generation"]) == (1, int(applied), 1)


def test_containers_that_are_behind_are_named(tmp_path: Path) -> None:
    """So that the others are known to be under all that selects them."""
    assert stated(found(tmp_path, applied=False))["behind"] == ["shop/web-0/web"]
    assert stated(found(tmp_path, applied=True))["behind"] == []


def test_times_say_since_when(tmp_path: Path) -> None:
    """They stay while nothing changes."""
    since = Since()
    first = stated(found(tmp_path, applied=True), since, "T1")
    assert stated(found(tmp_path, applied=True), since, "T2") == first
    assert stated(found(tmp_path, applied=False), since, "T3")["policies"][0]["since"] == "T3"


def test_failures_name_what_and_why(tmp_path: Path) -> None:
    """A container that could not be put under its set, and a version of a policy that was refused."""
    failures = stated(found(tmp_path, applied=False, failures=("no room",), value=broken()))["failures"]
    assert [each["object"] for each in failures] == ["SecurityPolicy shop/no-id", "shop/web-0/web"]
    assert "Generation 1 stays enforced" in failures[0]["reason"]
    assert failures[1]["reason"] == "no room"
