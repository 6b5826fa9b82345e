"""Which agents count as done, and what is changed about them."""

from __future__ import annotations

from typing import Any

import pytest

from bulkhead.kube.removal import changes, progress


def daemonset(arguments: list[str], generation: int = 2, **status: int) -> dict[str, Any]:
    """The agents' object."""
    container = {"name": "agent", "args": arguments}
    return {
        "metadata": {"generation": generation},
        "spec": {"template": {"spec": {"containers": [container]}}},
        "status": {"observedGeneration": 2, "desiredNumberScheduled": 3, **status},
    }


def test_the_option_is_added_once() -> None:
    """A second uninstall waits for the first one's roll-out."""
    assert changes(daemonset(["agent"]))[0]["value"] == ["agent", "--remove"]
    assert changes(daemonset(["agent", "--remove"])) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (daemonset([], updatedNumberScheduled=3, numberReady=3), (3, 3)),
        (daemonset([], updatedNumberScheduled=3, numberReady=1), (1, 3)),
        (daemonset([], updatedNumberScheduled=1, numberReady=3), (1, 3)),
        (daemonset([], generation=3, updatedNumberScheduled=3, numberReady=3), (0, 3)),
        (daemonset([], desiredNumberScheduled=0), (0, 0)),
    ],
)
def test_a_node_counts_when_its_new_agent_is_ready(found: dict[str, Any], expected: tuple[int, int]) -> None:
    """An old agent that is ready has removed nothing; nor is a state of before the change believed."""
    assert progress(found) == expected
