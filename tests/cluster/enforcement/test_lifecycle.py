"""Enforcement goes on, and nothing is lost, while agents, policies, the chart and the API server change."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.cluster.enforcement.install import NAMESPACE, install
from tests.cluster.enforcement.shop import IMAGE, Shop, pod
from tests.cluster.enforcement.subscriber import Subscriber
from tests.cluster.enforcement.test_denials import TOKEN
from tests.cluster.waiting import await_true
from tools.cluster import BIN
from tools.cluster.cluster import Cluster

DPKG = ("/usr/bin/dpkg", "--version")
ALLOWED_S = 30.0
VERDICTS_S = 120.0
BEGUN_S = 300.0

await_begun = partial(await_true, patience_s=BEGUN_S)


def agent_pod(cluster: Cluster) -> str:
    """The name of the node's agent."""
    selector = "--selector=app.kubernetes.io/component=agent"
    name = "--output=jsonpath={.items[0].metadata.name}"
    return cluster.kubectl("--namespace", NAMESPACE, "get", "pod", selector, name)


def await_agent(cluster: Cluster) -> None:
    """Until the node's agent is ready."""
    cluster.kubectl("--namespace", NAMESPACE, "rollout", "status", "daemonset/bulkhead-agent", "--timeout=180s")


def await_allowed(shop: Shop, *command: str) -> None:
    """Until a command works in the selected pod."""
    await_true(lambda: not shop.act("web", *command).status, f"{command} is denied still", ALLOWED_S)


def test_a_deleted_agent_leaves_enforcement_and_loses_nothing(shop: Shop, subscriber: Subscriber) -> None:
    """While it is away an act is denied, and its violation arrives once an agent is back."""
    shop.kubectl("delete", "--namespace", NAMESPACE, "pod", agent_pod(shop.cluster), "--wait=false")
    assert shop.act("web", "/usr/bin/dpkg-query", "--version").denied
    assert shop.act("web", "/usr/bin/id").status == 0
    await_agent(shop.cluster)
    subscriber.await_event(object="/usr/bin/dpkg-query", verdict="DENIED", pod="web", policy="web")


def test_a_changed_policy_changes_the_verdict(shop: Shop, subscriber: Subscriber) -> None:
    """Another program is denied then, the first one no longer; deleted, nothing is."""
    changed = shop.policy()
    changed["spec"]["exec"]["rules"][0] |= {"name": "no-id", "paths": ["/usr/bin/id"]}
    shop.await_enforced(shop.apply(changed))
    assert shop.act("web", "/usr/bin/id").denied
    assert shop.act("web", *DPKG).status == 0
    subscriber.await_event(rule="no-id", object="/usr/bin/id", pod="web")
    shop.kubectl("delete", "secpol", "web")
    await_allowed(shop, "/usr/bin/id")


def test_a_changed_label_changes_the_policies(shop: Shop) -> None:
    """A pod that is labelled anew is no longer selected, and selected again when it is labelled back."""
    shop.kubectl("label", "pod", "web", "app=other", "--overwrite")
    await_allowed(shop, *DPKG)
    shop.kubectl("label", "pod", "web", "app=web", "--overwrite")
    shop.await_enforced(shop.policy())
    assert shop.act("web", *DPKG).denied


def api_server_id() -> int:
    """The process of the cluster's API server."""
    program = os.fsencode(BIN / "kube-apiserver")
    (number,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.read_bytes().split(b"\0")[0] == program
    )
    return number


@contextmanager
def api_server_stopped() -> Iterator[None]:
    """It answers nothing, and does not hang up either."""
    number = api_server_id()
    os.kill(number, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(number, signal.SIGCONT)


def await_verdicts(cluster: Cluster, more: int) -> None:
    """Until so many more lines are in the container's file; looked at from the node, because kubectl cannot."""
    count = "cat $(ls /proc/[0-9]*/root/tmp/verdicts 2>/dev/null | head -n 1) | wc -l"
    wanted = int(cluster.on_node(count)) + more
    await_true(lambda: int(cluster.on_node(count)) >= wanted, "the container has stopped trying", VERDICTS_S)


def test_enforcement_goes_on_without_an_api_server(shop: Shop) -> None:
    """Acts are denied by a process in the container that nobody had to ask the API server for."""
    loop = "while sleep 0.2; do dpkg --version >/dev/null 2>&1 && echo allowed || echo denied; done > /tmp/verdicts"
    shop.act("web", "bash", "-c", f"({loop}) >/dev/null 2>&1 & echo $! > /tmp/loop")
    with api_server_stopped():
        await_verdicts(shop.cluster, 20)
    verdicts = shop.act("web", "bash", "-c", "kill $(cat /tmp/loop); sort /tmp/verdicts | uniq").text
    assert verdicts.split() == ["denied"]
    shop.cluster.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")


def agents_begun(cluster: Cluster) -> set[str]:
    """What agents logged, with the time, as the node's runtime took them in; the kubelet deletes logs of pods gone."""
    lines = "cat /var/log/pods/*/agent/*.log 2>/dev/null | grep runtime_reached"
    return set(cluster.on_node(lines, check=False).splitlines())


def agents_logs(cluster: Cluster) -> str:
    """The ends of them, for a failed test."""
    return cluster.on_node("tail -v -n 5 /var/log/pods/*/agent/*.log", check=False)


@contextmanager
def acting_first(shop: Shop) -> Iterator[Callable[[], list[str]]]:
    """Two pods, one selected, whose containers try the forbidden act before anything else; gives their verdicts."""
    act = f"cat {TOKEN} >/dev/null 2>&1 && echo allowed >> /out/verdicts || echo denied >> /out/verdicts"
    mounts = [{"name": "out", "mountPath": "/out"}]
    command = ["sh", "-c", f"{act}; sleep 987654"]
    container = {"name": "main", "image": IMAGE, "command": command, "volumeMounts": mounts}
    written = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/out/verdicts"
    try:
        for name, label in (("again", "web"), ("again-free", "free")):
            shop.create(pod(name, label, containers=[container], volumes=[{"name": "out", "emptyDir": {}}]))
        yield lambda: sorted(shop.cluster.on_node(f"cat {written} 2>/dev/null", check=False).split())
    finally:  # or every later test would see one pod more under the policy
        shop.kubectl("delete", "pod", "again", "again-free", "--now", "--ignore-not-found")


def test_a_container_that_starts_anew_is_enforced_while_nobody_can_be_asked(shop: Shop) -> None:
    """The API server is away, the agent killed: the next one knows what the last one knew, before anything starts."""
    node = shop.cluster
    with acting_first(shop) as verdicts:
        await_begun(lambda: len(verdicts()) > 1, "the containers have not acted")
        assert verdicts() == ["allowed", "denied"]
        begun = agents_begun(node)
        with api_server_stopped():
            node.on_node("pkill -KILL -f '[b]ulkhead agent'")
            await_begun(lambda: bool(agents_begun(node) - begun), lambda: agents_logs(node))
            node.on_node("pkill -KILL -f '[s]leep 987654'")
            await_begun(lambda: len(verdicts()) > 3, "the containers have not started again")
            assert verdicts() == ["allowed"] * 2 + ["denied"] * 2
        node.kubectl("wait", "node", "--all", "--for=condition=Ready", "--timeout=120s")
        await_agent(node)


@pytest.mark.parametrize("value", ["agent.podAnnotations.try=1"])
def test_an_upgrade_leaves_enforcement_and_certificates(shop: Shop, subscriber: Subscriber, value: str) -> None:
    """New agents take over; the subscriber's certificates are the old ones, so it goes on."""
    secret = ("get", "secret", "bulkhead-client-cert", "--namespace", NAMESPACE, "--output=jsonpath={.data}")
    before = shop.cluster.kubectl(*secret)
    install(shop.cluster, "--set-string", value)
    assert shop.cluster.kubectl(*secret) == before
    assert shop.act("web", "/usr/bin/dpkg-deb", "--version").denied
    subscriber.await_event(object="/usr/bin/dpkg-deb", pod="web")
