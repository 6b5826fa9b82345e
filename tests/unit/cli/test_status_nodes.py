"""The table of `bulkhead status`, from objects as the API server gives them."""

from __future__ import annotations

from typing import Any

import pytest

from bulkhead.cli.status_nodes import is_enforced, named, narrowed, outdated, table
from bulkhead.errors import UsageError
from bulkhead.kube.policy_key import PolicyKey
from tests.unit.cli.objects import Objects

WEB = PolicyKey("SecurityPolicy", "shop", "web")


def node(name: str = "vm0", ready: str = "True", enforced: int = 2, failures: tuple[str, ...] = ()) -> dict[str, Any]:
    """A NodeState with one policy."""
    row = {"kind": "SecurityPolicy", "namespace": "shop", "name": "web", "generation": 3, "selected": 2}
    return {
        "metadata": {"name": name},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "R", "message": "why"}],
            "policies": [{**row, "enforced": enforced, "since": "T"}],
            "failures": [{"object": each, "reason": "because", "since": "T"} for each in failures],
        },
    }


def test_a_row_a_policy_and_node() -> None:
    """Then what is not enforced, and why."""
    lines = list(table([node(), node("vm1", "False", 1, ("SecurityPolicy shop/web",))]))
    assert [line.split() for line in lines[:3]] == [
        ["NODE", "READY", "POLICY", "GENERATION", "ENFORCED", "SINCE"],
        ["vm0", "True", "shop/web", "3", "2/2", "T"],
        ["vm1", "False", "shop/web", "3", "1/2", "T"],
    ]
    assert lines[3:] == ["vm1: R: why", "vm1: SecurityPolicy shop/web: because (since T)"]


def test_the_answer_is_yes_only_if_nothing_is_behind() -> None:
    """Ready, every selected container, no failure."""
    assert is_enforced(node())
    assert not is_enforced(node(ready="False"))
    assert not is_enforced(node(enforced=1))
    assert not is_enforced(node(failures=("shop/web-0/web",)))
    assert not is_enforced({"metadata": {"name": "new"}, "status": {}})


@pytest.mark.parametrize(
    ("status", "line"),
    [("True", "vm0: start: Strict since T: unknown ones do not start"), ("False", "vm0: NotAsked: unknown ones")],
)
def test_that_starts_are_strict_is_said(status: str, line: str) -> None:
    """Since when, or why not where a namespace asks; only then something is not as it should be."""
    said = {"type": "StrictStarts", "status": status, "reason": "NotAsked", "lastTransitionTime": "T"}
    found = node()
    found["status"]["conditions"].append({**said, "message": line.rpartition(": ")[2]})
    assert list(table([found]))[2:] == [line]
    assert is_enforced(found) is (status == "True")


def test_an_older_generation_is_not_the_policy() -> None:
    """A node that enforces what the policy said before is told."""
    assert list(outdated([node()], {WEB: 3})) == []
    assert list(outdated([node()], {WEB: 4})) == ["vm0: shop/web: generation 4 is not in force yet"]


def test_wide_says_what_the_node_runs() -> None:
    """Kernel and agent, last."""
    lines = list(
        table([{**node(), "status": {**node()["status"], "kernel": "6.12", "agentVersion": "0.1"}}], wide=True)
    )
    assert [line.split()[-2:] for line in lines] == [["KERNEL", "AGENT"], ["6.12", "0.1"]]


def test_one_policy_is_asked_for() -> None:
    """Neither others nor their failures."""
    found = narrowed(node(failures=("SecurityPolicy shop/web", "SecurityPolicy shop/db")), "shop", [WEB])
    assert [row["object"] for row in found["status"]["failures"]] == ["SecurityPolicy shop/web"]
    assert narrowed(node(), "shop", [PolicyKey("ClusterSecurityPolicy", "", "web")])["status"]["policies"] == []


@pytest.mark.parametrize(("namespace", "rows", "failures"), [("shop", 1, 3), ("bank", 0, 2), ("", 1, 4)])
def test_a_namespace_has_its_own_and_the_clusters(namespace: str, rows: int, failures: int) -> None:
    """What fails elsewhere is somebody else's."""
    failed = ("SecurityPolicy shop/web", "ClusterSecurityPolicy front", "bank/db-0/db", "shop/web-0/web")
    status = narrowed(node(failures=failed), namespace)["status"]
    assert (len(status["policies"]), len(status["failures"])) == (rows, failures)


@pytest.mark.parametrize(
    ("namespace", "name", "found"),
    [
        ("shop", "web", {WEB: 3, PolicyKey("ClusterSecurityPolicy", "", "web"): 7}),
        ("shop", "secpol/web", {WEB: 3}),
        ("shop", "clustersecuritypolicy/web", {PolicyKey("ClusterSecurityPolicy", "", "web"): 7}),
        ("bank", "shop/web", {WEB: 3}),
        ("bank", "web", {PolicyKey("ClusterSecurityPolicy", "", "web"): 7}),
        ("", "secpol/web", {WEB: 3}),
    ],
)
def test_a_policy_is_named_as_kubectl_names_it(namespace: str, name: str, found: dict[PolicyKey, int]) -> None:
    """By its name in the namespace, with its kind, or with its namespace; in all of them with -A."""
    assert named(policies().api, namespace, name) == found


def test_a_policy_that_is_nowhere_is_wrong_use() -> None:
    """With where it was looked for, and what to do."""
    with pytest.raises(UsageError, match="there is no policy db in namespace shop: -n names another one"):
        named(policies().api, "shop", "db")


def policies() -> Objects:
    """Two of one name."""
    ours = "/apis/bulkhead.dev/v1alpha1"
    web = {"metadata": {"name": "web", "namespace": "shop", "generation": 3}}
    front = {"metadata": {"name": "web", "generation": 7}}
    return Objects(
        {
            f"{ours}/namespaces/shop/securitypolicies/web": web,
            f"{ours}/securitypolicies": {"items": [web]},
            f"{ours}/clustersecuritypolicies/web": front,
        }
    )
