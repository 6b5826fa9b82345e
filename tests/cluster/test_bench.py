"""The cluster is what the other cluster tests take it for: a real one, whose node can enforce."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tools.cluster import BIN, images
from tools.cluster.addresses import API_SERVER_IP
from tools.cluster.cluster import Cluster, CommandFailed
from tools.vm.qemu import DEFAULT_LSM

READY = "--timeout=180s"
PAGE = "mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www"


def fetching(host: str) -> str:
    """A command that prints the page at that host: kube-proxy and DNS hear of a new service a moment later than we."""
    return f"for _ in 1 2 3 4 5 6 7 8 9 10; do wget -q -O - http://{host}/ 2>/dev/null && exit; sleep 1; done; exit 1"


def pod(name: str, *command: str) -> dict[str, Any]:
    """A pod of busybox that has the bench's programs under /bench: the node sees this machine's files."""
    container = {
        "name": "main",
        "image": images.BUSYBOX,
        "command": list(command),
        "volumeMounts": [{"name": "bench", "mountPath": "/bench", "readOnly": True}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "bench", "hostPath": {"path": str(BIN)}}],
        },
    }


@pytest.fixture
def run(cluster: Cluster, namespace: str) -> Callable[..., str]:
    """kubectl in the test's namespace."""

    def kubectl(*arguments: str, **options: Any) -> str:
        return cluster.kubectl("--namespace", namespace, *arguments, **options)

    return kubectl


@pytest.fixture
def started(run: Callable[..., str]) -> Callable[..., None]:
    """Makes pods and waits until they are ready."""

    def start(*pods: dict[str, Any]) -> None:
        run("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
        run("wait", "--for=condition=Ready", "pod", *(one["metadata"]["name"] for one in pods), READY)

    return start


def test_node_is_ready_and_can_enforce(cluster: Cluster) -> None:
    """The one node is ready, its kernel has BPF among its security modules, and what an agent needs is mounted."""
    assert "Ready" in cluster.kubectl("get", "node", cluster.node, "--no-headers").split()
    active = cluster.on_node("cat /sys/kernel/security/lsm").strip().split(",")
    assert set(DEFAULT_LSM.split(",")) <= set(active)
    kinds = cluster.on_node("stat -f -c %T /sys/fs/bpf /sys/fs/cgroup").split()
    assert kinds == ["bpf_fs", "cgroup2fs"]
    cluster.on_node("touch /var/lib/bulkhead/probe && rm /var/lib/bulkhead/probe")


def test_every_image_is_there(cluster: Cluster) -> None:
    """The container runtime has each image that the fixture names, so no pod waits for a registry."""
    have = cluster.on_node("ctr --namespace k8s.io images list --quiet").split()
    assert images.PAUSE in cluster.images
    assert set(cluster.images) <= set(have)


def test_commands_in_the_node_keep_status_and_output(cluster: Cluster) -> None:
    """A command's output comes back whole, its failure is an error that says why, and one that hangs is ended."""
    assert cluster.on_node("printf 'a\\nb'; echo c >&2") == "a\nbc\n"
    long = cluster.on_node("head -c 200000 /dev/zero | tr '\\0' x")
    assert long == "x" * 200_000
    with pytest.raises(CommandFailed, match="ended with 7: no luck"):
        cluster.on_node("echo no luck; exit 7")
    assert cluster.on_node("false", check=False) == ""
    assert cluster.tried_on_node("sleep 60", timeout_s=1).status == 124


def test_pod_runs_and_exec_keeps_status_and_output(
    cluster: Cluster, namespace: str, started: Callable[..., None]
) -> None:
    """`kubectl exec` gives back both streams and the status of a program in a container."""
    started(pod("worker", "sleep", "100000"))
    script = "echo out; echo complaint >&2; exit 7"
    result = cluster.tried("kubectl", "--namespace", namespace, "exec", "worker", "--", "sh", "-c", script)
    assert result.returncode == 7
    assert result.stdout == "out\n"
    assert result.stderr.startswith("complaint\n")


def test_pod_reaches_the_api_server_with_its_token(run: Callable[..., str], started: Callable[..., None]) -> None:
    """Through the service's address, with the certificate authority and the token that every pod is given.

    The API server knows the pod's service account, grants it what RBAC grants, and nothing else.
    """
    started(pod("asking", "sleep", "100000"))
    ask = ("exec", "asking", "--", "/bench/kubectl")
    assert run("exec", "asking", "--", "sh", "-c", "echo $KUBERNETES_SERVICE_HOST").strip() == API_SERVER_IP
    assert "system:serviceaccount" in run(*ask, "auth", "whoami")
    assert json.loads(run(*ask, "get", "--raw", "/version"))["major"] == "1"
    with pytest.raises(CommandFailed, match='cannot list resource "nodes"'):
        run(*ask, "get", "nodes")


def test_service_reaches_a_pod_by_address_and_name(
    cluster: Cluster, run: Callable[..., str], started: Callable[..., None]
) -> None:
    """A service's address leads to its pod, from another pod, the pod itself and the node; its name to its address."""
    started(pod("page", "sh", "-c", PAGE), pod("reader", "sleep", "100000"))
    run("expose", "pod", "page", "--port=80", "--target-port=8080")
    address = run("get", "service", "page", "--output=jsonpath={.spec.clusterIP}")
    assert run("exec", "reader", "--", "sh", "-c", fetching(address)) == "hello\n"
    assert run("exec", "page", "--", "sh", "-c", fetching(address)) == "hello\n"
    assert run("exec", "reader", "--", "sh", "-c", fetching("page")) == "hello\n"
    assert cluster.on_node(fetching(address).replace("wget", "busybox wget")) == "hello\n"


def test_helm_talks_to_the_cluster(cluster: Cluster, namespace: str) -> None:
    """Helm reaches the same API server as kubectl, with the same rights."""
    assert json.loads(cluster.helm("list", "--namespace", namespace, "--output", "json")) == []
