"""Which containers a policy selects: the Kubernetes meaning of label selectors."""

from __future__ import annotations

import pytest

from bulkhead.policy.parse import parse_text
from bulkhead.policy.select import Candidate, selects, selects_host
from tests.unit.policy.documents import text_of

WEB = Candidate("default", {"app": "web", "tier": "front"}, {"kubernetes.io/metadata.name": "default"}, "main")

TEAM = "  namespaceSelector: {matchLabels: {team: a}}\n"


def _selects(body: str, candidate: Candidate = WEB, kind: str = "SecurityPolicy") -> bool | None:
    text = text_of(body + "  exec: {default: Deny}\n").replace("kind: SecurityPolicy", f"kind: {kind}")
    parsed = parse_text(text, "f")
    assert parsed.problems == ()
    return selects(parsed.policies[0], candidate)


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("{}", True),
        ("{matchLabels: {app: web}}", True),
        ("{matchLabels: {app: web, tier: back}}", False),
        ("{matchLabels: {other: web}}", False),
        ("{matchExpressions: [{key: tier, operator: In, values: [back, front]}]}", True),
        ("{matchExpressions: [{key: other, operator: In, values: [a]}]}", False),
        ("{matchExpressions: [{key: tier, operator: NotIn, values: [front]}]}", False),
        ("{matchExpressions: [{key: other, operator: NotIn, values: [a]}]}", True),
        ("{matchExpressions: [{key: app, operator: Exists}]}", True),
        ("{matchExpressions: [{key: app, operator: DoesNotExist}]}", False),
        ("{matchExpressions: [{key: other, operator: DoesNotExist}]}", True),
        ("{matchLabels: {app: web}, matchExpressions: [{key: app, operator: DoesNotExist}]}", False),
    ],
)
def test_pods_are_selected_by_labels(selector: str, selected: bool) -> None:
    """Everything in a selector must hold; a label that is not there is NotIn."""
    assert _selects(f"  podSelector: {selector}\n") == selected


def test_a_policy_holds_in_its_namespace() -> None:
    """A SecurityPolicy selects nothing elsewhere, a ClusterSecurityPolicy does."""
    elsewhere = Candidate("shop", {}, {"team": "a"}, "main")
    assert not _selects("", elsewhere)
    assert _selects("", elsewhere, "ClusterSecurityPolicy")


def test_what_has_no_namespace_is_selected_by_labels_alone() -> None:
    """On one machine without Kubernetes a policy holds whatever its namespace is."""
    assert _selects("  podSelector: {matchLabels: {app: web}}\n", Candidate(labels={"app": "web"}))
    assert not _selects("  podSelector: {matchLabels: {app: web}}\n", Candidate())


@pytest.mark.parametrize(("team", "selected"), [("a", True), ("b", False)])
def test_namespaces_are_selected_by_labels(team: str, selected: bool) -> None:
    """By the namespace's own labels, not the pod's."""
    candidate = Candidate("shop", {"team": "a"}, {"team": team}, "main")
    assert _selects(TEAM, candidate, "ClusterSecurityPolicy") == selected


@pytest.mark.parametrize(
    ("containers", "selected"), [("[main]", True), ("[other, 'm*']", True), ("['mai?']", True), ("[ma, 'ai*']", False)]
)
def test_containers_are_selected_by_name(containers: str, selected: bool) -> None:
    """One of the patterns must match the whole name."""
    assert _selects(f"  containers: {containers}\n") == selected


@pytest.mark.parametrize(
    ("body", "labels", "answer"),
    [
        (TEAM, {}, None),
        ("  namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}\n", {}, None),
        ("  namespaceSelector: {}\n", {}, True),
        ("", {}, True),
        (f"{TEAM}  podSelector: {{matchLabels: {{app: web}}}}\n", {}, False),
        (f"{TEAM}  podSelector: {{matchLabels: {{app: web}}}}\n", {"app": "web"}, None),
        (f"{TEAM}  containers: [other]\n", {}, False),
    ],
)
def test_labels_that_nobody_has_told_are_not_none(body: str, labels: dict[str, str], answer: bool | None) -> None:
    """A policy that asks for them neither selects nor does not, unless the rest of it decides."""
    candidate = Candidate("shop", labels, None, "main")
    assert _selects(body, candidate, "ClusterSecurityPolicy") is answer


@pytest.mark.parametrize(
    ("namespace", "node", "answer"),
    [
        ({"team": "a"}, {"zone": "b"}, True),
        ({"team": "a"}, {"zone": "c"}, False),
        ({"team": "b"}, {"zone": "b"}, False),
        ({"team": "a"}, None, None),
        (None, {"zone": "b"}, None),
        ({"team": "b"}, None, False),
        (None, {"zone": "c"}, False),
        (None, None, None),
    ],
)
def test_namespace_and_node_must_both_be_selected(
    namespace: dict[str, str] | None, node: dict[str, str] | None, answer: bool | None
) -> None:
    """What is not known matters only where what is known has not decided."""
    body = f"{TEAM}  nodeSelector: {{matchExpressions: [{{key: zone, operator: In, values: [a, b]}}]}}\n"
    candidate = Candidate("shop", {}, namespace, "main", node)
    assert _selects(body, candidate, "ClusterSecurityPolicy") is answer


def test_a_policy_of_a_namespace_does_not_ask_for_its_labels() -> None:
    """It is known whether it holds."""
    assert _selects("", Candidate("default", {}, None, "main")) is True
    assert _selects("", Candidate("shop", {}, None, "main")) is False


@pytest.mark.parametrize(("node", "answer"), [({"zone": "a"}, True), ({"zone": "b"}, False), ({}, False), (None, None)])
def test_processes_of_nodes_are_selected_by_the_nodes_labels(node: dict[str, str] | None, answer: bool | None) -> None:
    """No pod is, and a policy for pods selects no node."""
    body = "  hostProcesses: {}\n  nodeSelector: {matchLabels: {zone: a}}\n  exec: {default: Audit}\n"
    text = f"apiVersion: bulkhead.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata: {{name: p}}\nspec:\n{body}"
    (policy,) = parse_text(text, "f").policies
    assert selects_host(policy, node) is answer
    assert selects(policy, WEB) is False
    (of_pods,) = parse_text(text_of("  exec: {default: Audit}\n"), "f").policies
    assert selects_host(of_pods, node) is False
