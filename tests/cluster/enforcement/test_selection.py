"""A ClusterSecurityPolicy holds where its selectors of namespaces and nodes do, and follows when labels change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bulkhead.policy.model import API_VERSION
from tests.cluster.enforcement.shop import Shop, pod
from tests.cluster.enforcement.subscriber import Subscriber
from tests.cluster.enforcement.test_start import IN_A_POD, READ, ended, racer
from tools.cluster.cluster import Cluster

FORBIDDEN = ("/usr/bin/tac", "--version")
NEIGHBOUR = ("/usr/bin/id",)
FRONT = {"matchLabels": {"tier": "front"}}
YOUNG = "young"
PATIENCE_S = 60.0


def await_verdict(shop: Shop, denied: bool) -> None:
    """Until the act is denied in the pod free, or is no longer; its neighbour works all the while."""
    deadline = time.monotonic() + PATIENCE_S
    while (done := shop.act("free", *FORBIDDEN)).denied is not denied:
        assert shop.act("free", *NEIGHBOUR).status == 0
        assert time.monotonic() < deadline, done
        time.sleep(0.5)


@pytest.fixture
def front(shop: Shop, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A policy against the act where the selector that the test names selects tier=front; all agents know it.

    For pods of these tests alone: others of the node need their tokens.
    """
    rules = {
        "exec": {"rules": [{"name": "no-tac", "action": "Deny", "paths": ["/usr/bin/tac"]}]},
        "files": {"rules": [{"action": "Deny", "operations": ["Read"], "paths": ["/var/run/secrets/**"]}]},
    }
    made = {
        "apiVersion": API_VERSION, "kind": "ClusterSecurityPolicy", "metadata": {"name": "front"},
        "spec": {"podSelector": {"matchLabels": {"app": "free"}}, request.param: FRONT, **rules},
    }  # fmt: skip
    shop.cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    shop.cluster.kubectl("wait", "csecpol/front", "--for=condition=Enforced", "--timeout=180s")
    yield made
    shop.cluster.kubectl("delete", "csecpol", "front")


@pytest.fixture
def labelled(shop: Shop) -> Iterator[dict[str, tuple[str, str]]]:
    """What each selector is about; without the label before and after."""
    things = {"namespaceSelector": ("namespace", shop.namespace), "nodeSelector": ("node", shop.cluster.node)}
    yield things
    for thing in things.values():
        shop.cluster.kubectl("label", *thing, "tier-")


@pytest.mark.parametrize("front", ["namespaceSelector", "nodeSelector"], indirect=True)
def test_a_changed_label_of_namespace_or_node_changes_the_policies(
    shop: Shop, front: dict[str, Any], labelled: dict[str, tuple[str, str]]
) -> None:
    """A pod that was under no policy comes under it with the label, and is free again without it."""
    (thing,) = (about for selector, about in labelled.items() if selector in front["spec"])
    await_verdict(shop, denied=False)
    shop.cluster.kubectl("label", *thing, "tier=front")
    await_verdict(shop, denied=True)
    shop.cluster.kubectl("label", *thing, "tier=back", "--overwrite")
    await_verdict(shop, denied=False)


@pytest.fixture
def young(cluster: Cluster, installed: Cluster) -> Iterator[Shop]:
    """A namespace that is made with the label."""
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": YOUNG, "labels": {"tier": "front"}}}
    installed.kubectl("create", "-f", "-", stdin=json.dumps(made))
    shop = Shop(cluster, YOUNG)
    shop.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    yield shop
    cluster.kubectl("delete", "namespace", YOUNG, "--wait=false")


@pytest.mark.parametrize("front", ["namespaceSelector"], indirect=True)
def test_the_first_pod_of_a_new_namespace_is_under_the_policy(shop: Shop, front: dict[str, Any], young: Shop) -> None:
    """From its first instruction; in a namespace without the label the same program succeeds."""
    (states,) = ended(young, "Failed", racer("first", "free", READ)).values()
    assert [state["exitCode"] for state in states] == [1] * IN_A_POD, states
    (states,) = ended(shop, "Succeeded", racer("first", "free", READ)).values()
    assert [state["exitCode"] for state in states] == [0] * IN_A_POD, states


@pytest.fixture
def of_nodes(shop: Shop) -> Iterator[None]:
    """A policy against the act for all processes of nodes that are in no pod, kubelet and runtime among them."""
    made = {
        "apiVersion": API_VERSION, "kind": "ClusterSecurityPolicy", "metadata": {"name": "of-nodes"},
        "spec": {
            "hostProcesses": {},
            "exec": {"rules": [{"name": "no-tac", "action": "Deny", "paths": ["/usr/bin/tac"]}]},
            "files": {"rules": [{"action": "Deny", "operations": ["Write"], "paths": ["/etc/forbidden/**"]}]},
        },
    }  # fmt: skip
    shop.cluster.kubectl("create", "-f", "-", stdin=json.dumps(made))
    shop.cluster.kubectl("wait", "csecpol/of-nodes", "--for=condition=Enforced", "--timeout=180s")
    yield
    shop.cluster.kubectl("delete", "csecpol", "of-nodes")


def test_a_policy_for_processes_of_nodes_is_none_for_pods(shop: Shop, of_nodes: None, subscriber: Subscriber) -> None:
    """The node does not do it; pods do, also such that start meanwhile, with volumes. It is told without a pod."""
    answer = shop.cluster.tried_on_node(" ".join(FORBIDDEN))
    assert answer.status, answer
    assert "not permitted" in answer.output
    assert shop.cluster.tried_on_node(" ".join(NEIGHBOUR)).status == 0
    assert shop.act("free", *FORBIDDEN).status == 0
    shop.create(pod("later", "later"))
    assert shop.act("later", *FORBIDDEN).status == 0
    shop.kubectl("delete", "pod", "later", "--wait=false")
    event = subscriber.await_event(rule="no-tac", policy="of-nodes")
    assert (event["node"], event["pod"], event["container"]) == (shop.cluster.node, "", "")
    assert event["cgroup"]
