"""Installs the chart of this checkout, with the programs compiled beforehand: the emulated node would take minutes."""

from __future__ import annotations

import json

from tools.cluster.cluster import Cluster
from tools.vm import CHECKOUT, BenchError, bundles
from tools.vm.kernels import of_release

NAMESPACE = "bulkhead-system"
RELEASE = "bulkhead"
CHART = CHECKOUT / "deploy/helm/bulkhead"
VALUES = (
    "--set", "collector.persistence.enabled=false", "--set", "agent.readinessPeriodSeconds=1",
    "--set", "controller.replicas=1",
)  # fmt: skip


def ensure_installed(cluster: Cluster) -> None:
    """Install it where it is not there, and wait until agents and collector are ready."""
    releases = json.loads(cluster.helm("list", "--namespace", NAMESPACE, "--output", "json"))
    if any(each["name"] == RELEASE and each["status"] == "deployed" for each in releases):
        return
    give_bundle(cluster)
    install(cluster)


def install(cluster: Cluster, *more: str) -> None:
    """`helm upgrade --install`, as the README says; logs are shown where it fails."""
    try:
        cluster.helm(
            "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--create-namespace",
            "--wait", "--timeout", "10m", *VALUES, *more,
        )  # fmt: skip
    except BenchError:
        print(logs(cluster))
        raise


def give_bundle(cluster: Cluster) -> None:
    """Put the programs for the node's kernel where its agent looks for them."""
    kernel = of_release(cluster.on_node("uname -r").strip())
    lsm = cluster.on_node("cat /sys/kernel/security/lsm").strip()
    bundle = bundles.prepare(kernel, lsm)
    cluster.on_node(f"mkdir -p /var/lib/bulkhead/bundles && cp {bundle} /var/lib/bulkhead/bundles/")


def logs(cluster: Cluster) -> str:
    """What agents and collector said, and how their pods are."""
    told = [cluster.kubectl("--namespace", NAMESPACE, "describe", "pods", check=False)]
    for component in ("agent", "collector", "controller"):
        selector = f"app.kubernetes.io/component={component}"
        told.append(
            cluster.kubectl(
                "--namespace", NAMESPACE, "logs", "--selector", selector, "--tail=100", "--prefix", check=False
            )
        )
    return "\n".join(told)
