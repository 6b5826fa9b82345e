"""The table of `bulkhead status`, from objects as the API server gives them."""

from __future__ import annotations

from typing import Any

from bulkhead.cli.status import is_enforced, of_policy, outdated, table


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


def test_an_older_generation_is_not_the_policy() -> None:
    """A node that enforces what the policy said before is told."""
    assert list(outdated([node()], 3)) == []
    assert list(outdated([node()], 4)) == ["vm0: shop/web: generation 4 is not in force yet"]


def test_one_policy_is_asked_for() -> None:
    """Neither others nor their failures."""
    found = of_policy(node(failures=("SecurityPolicy shop/web", "SecurityPolicy shop/db")), "shop/web")
    assert [row["object"] for row in found["status"]["failures"]] == ["SecurityPolicy shop/web"]
    assert of_policy(node(), "web")["status"]["policies"] == []
