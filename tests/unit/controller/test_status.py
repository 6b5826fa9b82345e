"""A policy's status says what is true on the nodes, and Unknown where that is not known; never more."""

from __future__ import annotations

from typing import Any

import pytest

from bulkhead.controller.state import ControllerState
from bulkhead.controller.summary import NAMED, status
from bulkhead.kube.conditions import find
from bulkhead.policy.model.status import Status
from tests.unit.agent.cluster.objects import broken, policy
from tests.unit.controller.objects import KEY, agent, cluster, node, node_state, row

HEARD = (("p-1", 1),)


def judged(state: ControllerState, now: str = "T1") -> dict[str, Any]:
    """The status of the one policy that is due."""
    ((found, fleet),) = state.take_due()
    told = status(found, fleet, now)
    Status.model_validate(told)  # what the schema of the CRD is made from
    return told


def said(told: dict[str, Any], kind: str) -> tuple[str, str]:
    """A condition's status and reason."""
    found = find(told["conditions"], kind)
    assert found["observedGeneration"] == told["observedGeneration"]
    return found["status"], found["reason"]


def test_nothing_is_said_before_everything_is_known() -> None:
    """A controller that has not heard of the nodes yet would say that nothing is selected."""
    state = ControllerState()
    state.replace("SecurityPolicy", [policy()])
    state.replace("NodeState", [])
    assert state.take_due() == []


def test_enforced_is_what_every_node_says() -> None:
    """All containers of all nodes, at the newest generation; and it is worked out once."""
    state = cluster(policy(), nodes="ab")
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    state.change("NodeState", "ADDED", node_state("b", row(selected=3, enforced=3), heard=HEARD))
    told = judged(state)
    assert told["nodes"] == {"desired": 2, "enforced": 2}
    assert (said(told, "Accepted"), said(told, "Enforced")) == (("True", "Valid"), ("True", "Enforced"))
    assert said(told, "Degraded") == ("False", "AsExpected")
    assert state.take_due() == []


@pytest.mark.parametrize(
    ("behind", "message"),
    [
        (row(selected=2, enforced=1), "b enforces generation 1 on 1 of 2 containers"),
        (row(generation=0), "b enforces generation 0 on 1 of 1 containers"),
    ],
)
def test_a_node_that_is_behind_is_named(behind: dict[str, Any], message: str) -> None:
    """A container that is not under it yet, or all of them under an older generation."""
    state = cluster(policy(), nodes="ab")
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    state.change("NodeState", "ADDED", node_state("b", behind, heard=HEARD))
    told = judged(state)
    assert told["nodes"] == {"desired": 2, "enforced": 1}
    assert said(told, "Enforced") == ("False", "NodesBehind")
    assert message in find(told["conditions"], "Enforced")["message"]
    assert said(told, "Degraded") == ("False", "AsExpected")  # it may be a moment


def test_why_a_node_is_behind_is_told() -> None:
    """The reason of its agent: a limit that a container's policies do not fit, for example."""
    state = cluster(policy())
    failures = {"other/x/y": "not this", "shop/web-0/web": "states: 2 needed, the limit is 1; nothing was changed"}
    state.change("NodeState", "ADDED", node_state("a", row(enforced=0), heard=HEARD, failures=failures))
    told = judged(state)
    assert said(told, "Degraded") == ("True", "Failing")
    assert "a: shop/web-0/web: states: 2 needed" in find(told["conditions"], "Degraded")["message"]


def test_a_policy_that_an_agent_has_not_heard_of_is_not_called_enforced() -> None:
    """It says nothing of it: because it selects nothing there, or because it does not know it yet?"""
    state = cluster(policy(), nodes="ab")
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    state.change("NodeState", "ADDED", node_state("b"))
    told = judged(state)
    assert said(told, "Enforced") == ("Unknown", "NotHeard")
    assert "1 nodes have not heard of this generation yet: b" in find(told["conditions"], "Enforced")["message"]
    state.change("NodeState", "MODIFIED", node_state("b", heard=HEARD))
    assert said(judged(state), "Enforced") == ("True", "Enforced")


def test_a_policy_that_selects_nothing_says_so() -> None:
    """Enforced, in that nobody is without it; the reason tells a selector that is mistyped."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", heard=HEARD))
    assert said(judged(state), "Enforced") == ("True", "NothingSelected")


def test_a_word_that_becomes_known_later_counts() -> None:
    """Where an agent's watch was ahead of the controller's."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", heard=(*HEARD, ("p-2", 1))))
    assert said(judged(state), "Enforced") == ("Unknown", "NotHeard")
    state.change("SecurityPolicy", "ADDED", policy("other", uid="p-2"))
    reasons = {said(status(found, fleet, "T2"), "Enforced") for found, fleet in state.take_due()}
    assert reasons == {("True", "NothingSelected")}


def test_another_policy_does_not_make_an_old_one_unsure() -> None:
    """Agents need not have heard of the newest policy for an older one to go on being called enforced."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    told = judged(state)
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": told})
    judged(state)
    state.change("SecurityPolicy", "ADDED", policy("other", uid="p-2"))
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": told})
    statuses = {found.key.name: status(found, fleet, "T2") for found, fleet in state.take_due()}
    assert said(statuses["no-id"], "Enforced") == ("True", "Enforced")
    assert said(statuses["other"], "Enforced") == ("Unknown", "NotHeard")


def test_an_agent_that_is_not_ready_is_told() -> None:
    """What is in the kernel goes on: the policy is enforced still, and degraded."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": judged(state)})
    judged(state)
    state.change("Pod", "MODIFIED", agent("a", ready=False))
    told = judged(state)
    assert said(told, "Enforced") == ("True", "Enforced")
    assert said(told, "Degraded") == ("True", "AgentsNotReady")
    state.change("Pod", "MODIFIED", agent("a"))
    assert said(judged(state), "Degraded") == ("False", "AsExpected")


def test_a_node_that_was_booted_anew_enforces_nothing_until_its_agent_says_so() -> None:
    """Its NodeState is of the kernel before."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    judged(state)
    state.change("Node", "MODIFIED", node("a", "another boot"))
    told = judged(state)
    assert told["nodes"] == {"desired": 1, "enforced": 0}
    assert said(told, "Degraded") == ("True", "Failing")
    state.change("NodeState", "MODIFIED", node_state("a", row(), heard=HEARD, boot="another boot"))
    assert said(judged(state), "Enforced") == ("True", "Enforced")


def test_a_node_that_is_gone_counts_no_more() -> None:
    """Its NodeState is left behind."""
    state = cluster(policy(), nodes="ab")
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    state.change("NodeState", "ADDED", node_state("b", row(enforced=0), heard=HEARD))
    judged(state)
    state.change("Node", "DELETED", node("b"))
    assert judged(state)["nodes"] == {"desired": 1, "enforced": 1}


def test_a_refused_version_says_why_and_what_is_in_force() -> None:
    """Field, remedy, and the generation that the nodes go on enforcing."""
    state = cluster(broken())
    state.change("NodeState", "ADDED", node_state("a", row(generation=1)))
    told = judged(state)
    assert said(told, "Accepted") == ("False", "Refused")
    message = find(told["conditions"], "Accepted")["message"]
    assert "spec.exec.rules[0].paths[0]" in message
    assert "Generation 1 stays enforced" in message
    assert said(told, "Enforced") == ("False", "Refused")


def test_a_policy_that_nodes_refuse_is_not_accepted() -> None:
    """One that is valid and does not fit, or that a kernel lacks something for; also where it selects nothing there."""
    state = cluster(policy(), nodes="ab")
    failures = {"SecurityPolicy shop/no-id": "spec: does not fit: states: 2 needed, the limit is 1"}
    state.change("NodeState", "ADDED", node_state("a", heard=HEARD, failures=failures))
    state.change("NodeState", "ADDED", node_state("b", heard=HEARD))
    told = judged(state)
    assert said(told, "Accepted") == ("False", "RefusedByNodes")
    assert "1 nodes: a: spec: does not fit" in find(told["conditions"], "Accepted")["message"]
    assert said(told, "Enforced") == ("False", "RefusedByNodes")
    assert said(told, "Degraded") == ("True", "Refused")
    state.change("SecurityPolicy", "MODIFIED", policy(generation=2))  # of which the node has not heard yet
    told = judged(state)
    assert (said(told, "Accepted"), said(told, "Enforced")) == (("True", "Valid"), ("Unknown", "NotHeard"))
    state.change("NodeState", "MODIFIED", node_state("a", heard=(("p-1", 2),)))
    state.change("NodeState", "MODIFIED", node_state("b", heard=(("p-1", 2),)))
    assert said(judged(state), "Enforced") == ("True", "NothingSelected")


def test_a_disabled_policy_is_valid_and_not_enforced() -> None:
    """Both are said."""
    state = cluster(policy(mode="Disabled"))
    told = judged(state)
    assert (said(told, "Accepted"), said(told, "Enforced")) == (("True", "Disabled"), ("False", "Disabled"))


def test_times_are_those_of_the_last_change() -> None:
    """A status that says the same again is the same; one of many nodes names a few."""
    state = cluster(policy(), nodes="a")
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    first = judged(state, "T1")
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": first})
    assert judged(state, "T2") == first
    state.change("NodeState", "MODIFIED", node_state("a", row(enforced=0), heard=HEARD))
    later = judged(state, "T3")
    assert find(later["conditions"], "Enforced")["lastTransitionTime"] == "T3"
    assert find(later["conditions"], "Accepted")["lastTransitionTime"] == "T1"


def test_many_nodes_are_not_all_named() -> None:
    """An object that lists 5,000 nodes is none that can be stored."""
    names = "abcdefghijklmnop"
    state = cluster(policy(), nodes=names)
    for name in names:
        state.change("NodeState", "ADDED", node_state(name, row(enforced=0), heard=HEARD))
    message = find(judged(state)["conditions"], "Enforced")["message"]
    assert message.count("enforces generation") == NAMED
    assert f"and {len(names) - NAMED} more" in message


def test_a_policy_of_the_same_name_is_another_one() -> None:
    """What was said of the old one is not said of it."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", row(), heard=HEARD))
    judged(state)
    state.change("SecurityPolicy", "MODIFIED", policy(uid="p-9"))
    assert said(judged(state), "Enforced") == ("Unknown", "NotHeard")  # although there is a row of its generation
    state.change("NodeState", "MODIFIED", node_state("a", row(), heard=(("p-9", 1),)))
    assert said(judged(state), "Enforced") == ("True", "Enforced")


def test_a_policy_that_goes_is_not_judged() -> None:
    """Nor does anything of it stay."""
    state = cluster(policy())
    state.change("SecurityPolicy", "DELETED", policy())
    assert state.take_due() == []
    state.change("NodeState", "ADDED", node_state("a", row()))
    assert state.take_due() == []
    assert KEY not in state._policies
