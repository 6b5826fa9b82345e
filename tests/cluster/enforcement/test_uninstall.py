"""`helm uninstall` leaves nothing of ours in any kernel. Last of these tests by name: the others need it installed."""

from __future__ import annotations

import json

from tests.cluster.enforcement.install import NAMESPACE, RELEASE
from tests.cluster.enforcement.shop import Shop
from tools.cluster.cluster import Cluster

OURS = "/sys/fs/bpf/bulkhead"


def in_kernel(cluster: Cluster, kind: str) -> list[int]:
    """The ids of programs, maps or links in the node's kernel that hold the pins' directory or our names."""
    found = json.loads(cluster.on_node(f"bpftool --json {kind} list"))
    return [each["id"] for each in found]


def test_nothing_is_left_in_the_kernel(shop: Shop) -> None:
    """No program, no map, no link, no pin; what was denied is allowed. Before, there were some."""
    cluster = shop.cluster
    assert shop.act("web", "/usr/bin/dpkg", "--version").denied
    assert in_kernel(cluster, "link")
    assert cluster.on_node(f"ls {OURS}/links").split()
    told = cluster.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "10m")
    assert "uninstalled" in told
    assert shop.act("web", "/usr/bin/dpkg", "--version").status == 0
    assert not cluster.on_node(f"find {OURS} 2>/dev/null", check=False)
    lsm = [each for each in json.loads(cluster.on_node("bpftool --json prog list")) if each["type"] == "lsm"]
    assert lsm == []
    assert in_kernel(cluster, "link") == []


def test_policies_stay_for_the_next_install(cluster: Cluster) -> None:
    """Helm leaves CRDs, and with them what people wrote."""
    assert "web" in cluster.kubectl("get", "secpol", "--all-namespaces", "--no-headers")
