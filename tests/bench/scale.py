"""What thousands of nodes and policies cost an API server, the controller, and one agent's side of the cluster.

Native, with a real API server and no node: NodeStates are written as agents write them, policies as people do. Each
program's share is measured while nothing changes. Prints JSON. Next step: `page` says what the figures mean.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml

from bulkhead.kube.client import Api, connect
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import apply, apply_status, collection_path, object_path
from bulkhead.policy.model import API_VERSION
from tests.bench import agents
from tests.bench.resident import resident_mib
from tests.cluster.api_server.conftest import create_crds
from tools.cluster import control_plane, credentials

NODES, POLICIES, NAMESPACES = 5_000, 10_000, 100
WRITERS = 8
IDLE_S = 30.0


def policy(number: int) -> dict[str, Any]:
    """Of one of the namespaces, with ten file rules."""
    rules = [{"name": f"r{each}", "action": "Deny", "paths": [f"/srv/{number}/{each}/**"]} for each in range(10)]
    return {
        "apiVersion": API_VERSION, "kind": "SecurityPolicy", "metadata": {"name": f"p{number}"},
        "spec": {"podSelector": {"matchLabels": {"app": f"a{number}"}}, "files": {"rules": rules}},
    }  # fmt: skip


def node_state(number: int) -> dict[str, Any]:
    """Of a node with twenty policies in force."""
    rows = [
        {"kind": "SecurityPolicy", "namespace": f"n{each}", "name": f"p{number % NAMESPACES + each * NAMESPACES}",
         "generation": 1, "selected": 2, "enforced": 2, "since": "2026-01-01T00:00:00Z"} for each in range(20)
    ]  # fmt: skip
    status = {"agentVersion": "0", "kernel": "6.12", "bootId": "x", "policies": rows, "behind": [], "failures": []}
    return {"apiVersion": API_VERSION, "kind": "NodeState", "metadata": {"name": f"node-{number}"}, "status": status}


def write_policy(api: Api, number: int) -> None:
    """Make it."""
    api.post(collection_path("SecurityPolicy", f"n{number % NAMESPACES}"), policy(number))


def write_node(api: Api, number: int) -> None:
    """As an agent does: the object, then its status."""
    body = node_state(number)
    path = object_path("NodeState", "", body["metadata"]["name"])
    apply(api, path, {key: body[key] for key in ("apiVersion", "kind", "metadata")})
    apply_status(api, path, body)


def timed(write: Callable[[Api, int], None], api: Api, count: int) -> float:
    """Seconds that it takes to write so many."""
    began = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: write(api, number), range(count)))
    return time.perf_counter() - began


def requests_so_far(api: Api, token: str) -> float:
    """About our objects and leases that the API server has answered; watches that go on are not counted."""
    pool = urllib3.PoolManager(ca_certs=api.configuration.ssl_ca_cert)
    text = pool.request("GET", f"{api.server}/metrics", headers={"authorization": f"Bearer {token}"}).data.decode()
    counts = re.findall(
        r'^apiserver_request_total\{[^}]*(?:group="bulkhead.dev"|resource="leases")[^}]*\} (\S+)$', text, re.MULTILINE
    )
    return sum(map(float, counts))


@contextmanager
def controller(kubeconfig: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One, which leads."""
    command = [sys.executable, "-m", "bulkhead", "controller", "--kubeconfig", str(kubeconfig)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        try:
            yield running
        finally:
            running.kill()


def settled(pids: Iterable[int], patience_s: float = 180.0) -> None:
    """Until these processes use less than a tenth of a processor for five seconds."""

    def used() -> float:
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return sum(int(each[11]) + int(each[12]) for each in fields) / 100

    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        before = used()
        time.sleep(5)
        if used() - before < 0.5:
            return


def measured(nodes: int = NODES, policies: int = POLICIES) -> dict[str, Any]:
    """Everything."""
    with ExitStack() as ends, tempfile.TemporaryDirectory() as folder:
        made = credentials.make(Path(folder) / "credentials")
        etcd, server = control_plane.start_api_server(made, Path(folder), ends)
        kubeconfig = made.kubeconfig("admin")
        token = yaml.safe_load(kubeconfig.read_text())["users"][0]["user"]["token"]
        api = connect(Choice(kubeconfig))
        create_crds(api)
        empty_mib = resident_mib(server.running.pid)
        for number in range(NAMESPACES):
            api.post(collection_path("Namespace"), {"metadata": {"name": f"n{number}"}})
        api.post(collection_path("Namespace"), {"metadata": {"name": "bulkhead-system"}})
        found: dict[str, Any] = {"nodes": nodes, "policies": policies, "server_empty_mib": empty_mib}
        found["policies_written_s"] = timed(write_policy, api, policies)
        found["nodes_written_s"] = timed(write_node, api, nodes)
        found["server_mib"] = resident_mib(server.running.pid)
        found["store_mib"] = resident_mib(etcd.running.pid)
        agents.write_pods(api, NAMESPACES)
        found["agent"] = agents.one_agent(api, kubeconfig, Path(folder) / "kept")
        found["watches"] = agents.many_agents(kubeconfig)
        found["server_with_watches_mib"] = resident_mib(server.running.pid)
        running = ends.enter_context(controller(kubeconfig))
        began = time.perf_counter()
        settled([running.pid, server.running.pid])
        found["controller_settled_s"] = time.perf_counter() - began
        found["controller_mib"] = resident_mib(running.pid)
        before = requests_so_far(api, token)
        time.sleep(IDLE_S)
        found["idle_requests_a_second"] = (requests_so_far(api, token) - before) / IDLE_S
        found["server_with_controller_mib"] = resident_mib(server.running.pid)
        return found


if __name__ == "__main__":
    sizes = [int(word) for word in sys.argv[1:]]
    print(json.dumps(measured(*sizes), indent=1))
