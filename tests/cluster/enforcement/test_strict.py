"""`bulkhead.dev/start: Strict` with a real runtime: without an agent no new container starts but the agent's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.cluster import waiting
from tests.cluster.enforcement.install import NAMESPACE
from tests.cluster.enforcement.shop import IMAGE, Shop, pod
from tests.cluster.enforcement.test_denials import TOKEN
from tests.cluster.enforcement.test_lifecycle import await_agent
from tools.cluster.cluster import Cluster

LABEL = "bulkhead.dev/start"
WEB, FREE = ("", "web"), ("-free", "free")  # what a pod's name ends with, and its label
PATIENCE_S = 300.0

await_true = partial(waiting.await_true, patience_s=PATIENCE_S)


def strictness(cluster: Cluster) -> dict[str, Any] | None:
    """What the node says of it."""
    state = json.loads(cluster.kubectl("get", "nodestate", cluster.node, "-o", "json"))
    return next((each for each in state["status"]["conditions"] if each["type"] == "StrictStarts"), None)


@contextmanager
def without_agents(cluster: Cluster) -> Iterator[None]:
    """The DaemonSet selects no node; afterwards its pod is made anew, with another uid."""
    daemons = ("--namespace", NAMESPACE, "daemonset/bulkhead-agent")
    agents = ("--namespace", NAMESPACE, "pod", "--selector=app.kubernetes.io/component=agent")
    selector = '{"spec": {"template": {"spec": {"nodeSelector": {"nowhere": %s}}}}}'
    cluster.kubectl("patch", *daemons, "--patch", selector % '"yes"')
    try:
        cluster.kubectl("wait", "--for=delete", *agents, "--timeout=120s")
        assert not cluster.kubectl("get", *agents, "--output=name")
        yield
    finally:
        cluster.kubectl("patch", *daemons, "--patch", selector % "null")
        await_agent(cluster)


def acting_first(name: str, label: str) -> dict[str, Any]:
    """A pod whose container tries the forbidden act before anything else, and writes down what came of it."""
    act = f"cat {TOKEN} >/dev/null 2>&1 && echo {name} allowed >> /out/first || echo {name} denied >> /out/first"
    mounts = [{"name": "out", "mountPath": "/out"}]
    container = {"name": "main", "image": IMAGE, "command": ["sh", "-c", f"{act}; sleep 987653"]}
    return pod(
        name, label, containers=[container | {"volumeMounts": mounts}], volumes=[{"name": "out", "emptyDir": {}}]
    )


def make(shop: Shop, name: str) -> None:
    """Two such pods, one of which the policy selects; not waited for."""
    pods = [acting_first(name + suffix, label) for suffix, label in (WEB, FREE)]
    shop.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))


def acts(shop: Shop, name: str) -> list[str]:
    """What came of the first acts of two pods, the selected one's first."""
    written = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/out/first"
    lines = shop.cluster.on_node(f"cat {written} 2>/dev/null", check=False).splitlines()
    return [act for suffix, _ in (WEB, FREE) for who, act in map(str.split, lines) if who == name + suffix]


def status(shop: Shop, name: str) -> str:
    """Of a pod's container, in the kubelet's words."""
    return shop.kubectl("get", "pod", name, "--output=jsonpath={.status.containerStatuses[0]}")


def is_refused(shop: Shop, name: str) -> bool:
    """Whether the runtime has tried, and the kernel refused: its last word is in the container's log."""
    return "operation not permitted" in shop.kubectl("logs", name, check=False).lower()


@pytest.fixture
def pods(shop: Shop) -> Iterator[Shop]:
    """Where the pods of the test are made."""
    yield shop
    names = [name + suffix for name in ("early", "late") for suffix, _ in (WEB, FREE)]
    shop.kubectl("delete", "pod", *names, "--now", "--ignore-not-found")


@pytest.fixture
def asking(shop: Shop) -> Iterator[Callable[[], None]]:
    """Has the namespace ask for it, to the end of the test."""
    yield lambda: shop.cluster.kubectl("label", "namespace", shop.namespace, f"{LABEL}=Strict") and None
    shop.cluster.kubectl("label", "namespace", shop.namespace, f"{LABEL}-")
    await_true(lambda: strictness(shop.cluster) is None, lambda: strictness(shop.cluster))


def test_nothing_starts_before_an_agent_is_back(pods: Shop, asking: Callable[[], None]) -> None:
    """What waits starts then, under its policy. The control: where no namespace asks, it starts, and under nothing.

    The agent's own pod starts in both cases: nobody tells the kernel of it, and no lapse has passed.
    """
    cluster = pods.cluster
    with without_agents(cluster):
        make(pods, "early")
        await_true(lambda: acts(pods, "early") == ["allowed"] * 2, lambda: status(pods, "early"))
        asking()
    await_true(lambda: (strictness(cluster) or {}).get("status") == "True", lambda: strictness(cluster))
    with without_agents(cluster):
        make(pods, "late")
        for suffix, _ in (WEB, FREE):
            name = "late" + suffix
            await_true(lambda name=name: is_refused(pods, name), lambda name=name: status(pods, name))
        assert pods.act("web", "/usr/bin/id").status == 0
        assert acts(pods, "late") == []
    await_true(lambda: acts(pods, "late") == ["denied", "allowed"], lambda: status(pods, "late"))
    lapsed = cluster.on_node("cat /var/log/pods/*/agent/*.log | grep -c starts_lapsed", check=False)
    assert lapsed.strip() == "0"
