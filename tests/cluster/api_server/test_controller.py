"""The controller against a real API server: statuses become true, and one of two replicas writes them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkhead.kube.client import MERGE_TYPE, Api
from bulkhead.kube.conditions import find
from bulkhead.kube.objects import apply, apply_status, collection_path, object_path
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.seen import Seen
from tests.cluster.waiting import await_true

NAMESPACE = "bulkhead-system"
POLICY = object_path("SecurityPolicy", "default", "no-id")
LEASE = object_path("Lease", NAMESPACE, "bulkhead-controller")
NODE = "node-a"
BOOT = "11111111-2222-3333-4444-555555555555"


@contextmanager
def replica(kubeconfig: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """One controller."""
    command = [sys.executable, "-m", "bulkhead", "controller", "--kubeconfig", str(kubeconfig), "--name", name]
    running = subprocess.Popen(command)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module")
def node(api: Api) -> None:
    """A node whose agent is ready, as the kubelet would say it."""
    api.post(collection_path("Namespace"), {"metadata": {"name": NAMESPACE}})
    api.post(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    api.post(collection_path("Node"), {"metadata": {"name": NODE}})
    info = {"bootID": BOOT} | dict.fromkeys(
        ("architecture", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion", "machineID",
         "operatingSystem", "osImage", "systemUUID"), "x",
    )  # fmt: skip
    merge(api, f"{object_path('Node', '', NODE)}/status", {"status": {"nodeInfo": info}})
    pod = {
        "metadata": {"name": "agent", "labels": {"app.kubernetes.io/component": "agent"}},
        "spec": {"nodeName": NODE, "containers": [{"name": "agent", "image": "x"}]},
    }
    api.post(collection_path("Pod", NAMESPACE), pod)
    ready = [{"type": "Ready", "status": "True"}]
    merge(api, f"{object_path('Pod', NAMESPACE, 'agent')}/status", {"status": {"conditions": ready}})


def merge(api: Api, path: str, body: Mapping[str, Any]) -> None:
    """Change an object."""
    api.patch(path, body, MERGE_TYPE)


def tell(api: Api, *policies: Mapping[str, Any], enforced: int = 1) -> None:
    """As the node's agent does, of all policies that there are."""
    seen, rows = Seen(), []
    for policy in policies:
        metadata = policy["metadata"]
        seen.add(metadata["uid"], metadata["generation"])
        rows.append(
            {
                "kind": "SecurityPolicy", "namespace": metadata["namespace"], "name": metadata["name"],
                "generation": metadata["generation"], "selected": 1, "enforced": enforced,
                "since": "2026-01-01T00:00:00Z",
            }
        )  # fmt: skip
    empty = Seen()
    body = {
        "apiVersion": API_VERSION, "kind": "NodeState", "metadata": {"name": NODE},
        "status": {
            "agentVersion": "0", "kernel": "6.12", "bootId": BOOT, "conditions": [], "policies": rows, "failures": [],
            "seen": [{"kind": "SecurityPolicy", "digest": seen.word()},
                     {"kind": "ClusterSecurityPolicy", "digest": empty.word()}],
        },
    }  # fmt: skip
    path = object_path("NodeState", "", NODE)
    apply(api, path, {key: body[key] for key in ("apiVersion", "kind", "metadata")})
    apply_status(api, path, body)


def says(api: Api, kind: str, status: str, reason: str, generation: int) -> bool:
    """Whether the policy's condition says this of this generation."""
    found = find((api.get(POLICY).get("status") or {}).get("conditions") or (), kind)
    return (found.get("status"), found.get("reason"), found.get("observedGeneration")) == (status, reason, generation)


@pytest.mark.usefixtures("node")
def test_a_status_follows_what_is_true(api: Api, kubeconfig: Path) -> None:
    """From not heard of to enforced, to another generation; over the end of the replica that led."""
    spec = {"exec": {"rules": [{"name": "id", "action": "Deny", "paths": ["/usr/bin/id"]}]}}
    with replica(kubeconfig, "first") as first, replica(kubeconfig, "second"):
        body = {"apiVersion": API_VERSION, "kind": "SecurityPolicy", "metadata": {"name": "no-id"}, "spec": spec}
        made = api.post(collection_path("SecurityPolicy", "default"), body)
        await_true(lambda: says(api, "Enforced", "Unknown", "NotHeard", 1), "nobody says that it is not known")
        assert says(api, "Accepted", "True", "Valid", 1)
        tell(api, made)
        await_true(lambda: says(api, "Enforced", "True", "Enforced", 1), "it is not called enforced")
        assert api.get(POLICY)["status"]["nodes"] == {"desired": 1, "enforced": 1}
        holder = api.get(LEASE)["spec"]["holderIdentity"]
        if holder == "first":
            os.kill(first.pid, signal.SIGTERM)
            assert first.wait(60) == 0
        merge(api, POLICY, {"spec": {"severity": "High"}})
        await_true(lambda: says(api, "Enforced", "False", "NodesBehind", 2), "an older generation is called enforced")
        tell(api, api.get(POLICY))
        await_true(lambda: says(api, "Enforced", "True", "Enforced", 2), "the new generation is not called enforced")
        if holder == "first":
            assert api.get(LEASE)["spec"]["holderIdentity"] == "second"
