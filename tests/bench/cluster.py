"""How Bulkhead does in a cluster: from the install to the first denial, from a policy to its effect, and its memory.

Runs on this machine, where the control plane is; the node is an emulated machine, ten to thirty times slower, so its
seconds are upper bounds. Times of the node's clock are put on ours by its difference. Writes cluster.json. Next step:
`page` says what the figures mean.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench import changes
from tests.bench.agent_log import BOUND, events, last_moment
from tests.cluster.enforcement.install import NAMESPACE, RELEASE, give_bundle, install
from tests.cluster.enforcement.shop import POLICY, Shop, pod
from tools.cluster import start
from tools.cluster.addresses import API_SERVER_FROM_NODE
from tools.cluster.cluster import Cluster
from tools.image import sizes
from tools.image.make import archive_of

BUNDLES = "/var/lib/bulkhead/bundles"
DENIED = ("/usr/bin/dpkg", "--version")
WAIT_S = 120.0


def clock_difference_s(cluster: Cluster) -> float:
    """How far the node's clock is before ours, to some milliseconds: the least of what ten lines needed to get here."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        script = "for _ in 1 2 3 4 5 6 7 8 9 10; do echo $EPOCHREALTIME >&3; sleep 0.1; done"
        said = pool.submit(
            cluster.on_node, f"exec 3<>/dev/tcp/{API_SERVER_FROM_NODE}/{server.getsockname()[1]}; {script}"
        )
        connection, _ = server.accept()
        with connection, connection.makefile() as lines:
            differences = [float(line) - time.time() for line in lines]
        said.result()
    return max(differences)


def agent_log(cluster: Cluster) -> list[dict[str, Any]]:
    """What the agent has said."""
    selector = "--selector=app.kubernetes.io/component=agent"
    return list(events(cluster.kubectl("--namespace", NAMESPACE, "logs", selector, "--tail=-1").splitlines()))


def started(cluster: Cluster) -> float:
    """When the agent's process was started, by the node's clock: the API tells whole seconds only."""
    script = "stat -c %.Z /proc/$(pgrep -of 'bulkhead agent')"
    return float(cluster.on_node(script))


def from_start_to_enforcing_s(cluster: Cluster) -> float:
    """The agent that was just installed: from its process to the moment at which it was ready."""
    return last_moment(agent_log(cluster), "agent_ready") - started(cluster)


def until_denied(shop: Shop) -> float:
    """When the first act was denied, by our clock."""
    deadline = time.monotonic() + WAIT_S
    while not shop.act("web", *DENIED).denied:
        if time.monotonic() > deadline:
            raise SystemExit("bench: nothing was denied; no figures of the cluster were written")
    return time.time()


def installed(cluster: Cluster, shop: Shop) -> dict[str, float]:
    """The first install, with the programs compiled beforehand, to the first denial."""
    give_bundle(cluster)
    began = time.time()
    install(cluster)
    ready = time.time()
    cluster.kubectl("apply", "-f", str(POLICY))
    return {"install_to_ready_s": ready - began, "install_to_denial_s": until_denied(shop) - began}


def policy_stages(cluster: Cluster, shop: Shop) -> dict[str, float]:
    """A policy by stage, from the moment at which kubectl is called."""
    shop.kubectl("delete", "secpol", "web")
    while shop.act("web", *DENIED).status != 0:
        time.sleep(0.2)
    difference = clock_difference_s(cluster)
    began = time.time()
    cluster.kubectl("apply", "-f", str(POLICY))
    created = time.time()
    shop.await_enforced(shop.policy())
    told = time.time()
    log = agent_log(cluster)
    return {
        "created_s": created - began,
        "accepted_s": last_moment(log, "policy_accepted") - difference - began,
        "in_force_s": last_moment(log, BOUND, container=changes.CONTAINER) - difference - began,
        "told_s": told - began,
    }


def resident_mib(cluster: Cluster) -> dict[str, float]:
    """Resident memory of both, at rest."""
    script = (
        "for name in agent collector; do awk '/VmRSS/ {print $2}' /proc/$(pgrep -of \"bulkhead $name\")/status; done"
    )
    agent, collector = cluster.on_node(script).split()
    return {"agent_mib": int(agent) / 1024, "collector_mib": int(collector) / 1024}


def cold(cluster: Cluster) -> float:
    """An agent on a node that has no compiled programs and nothing in its kernel: it compiles, loads, and is ready."""
    cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "4m")
    cluster.on_node(f"rm -rf {BUNDLES}")
    install(cluster)
    return from_start_to_enforcing_s(cluster)


def measure(cluster: Cluster) -> Mapping[str, Any]:
    """Everything, in one cluster."""
    shop = Shop(cluster)
    cluster.kubectl("create", "namespace", shop.namespace)
    shop.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    shop.create(pod("web", "web"))
    results: dict[str, Any] = installed(cluster, shop)
    results["warm_s"] = from_start_to_enforcing_s(cluster)
    results["policy"] = policy_stages(cluster, shop)
    results["changes"] = changes.measured(cluster, clock_difference_s(cluster))
    results["memory"] = resident_mib(cluster)
    results["cold_s"] = cold(cluster)
    results["image_bytes"] = {name: sum(sizes.measured(archive_of(name)).values()) for name in ("agent", "collector")}
    return results


def main(results: Path) -> int:
    """Measure in a cluster of our own, and write."""
    with start.for_us() as cluster:
        found = measure(cluster)
    (results / "cluster.json").write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
