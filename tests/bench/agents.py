"""What agents take of a cluster with many policies: one, measured closely, and the watches of many.

The node has no kubelet: its pods are written as one would have. Next step: `bench.scale` has the API server.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bulkhead.kube.client import MERGE_TYPE, Api
from bulkhead.kube.objects import CORE, collection_path, object_path
from bulkhead.kube.reflector import WATCH_S
from tools.vm import CHECKOUT

NODE, PODS, CONTAINERS = "node-0", 250, 4
IMAGE = "example.org/shop"
CHANGES = 20
MANY, SHORT_WATCH_S, WINDOW_S = 100, 20, 60.0
FOR_NODES = 5_000
Change = Callable[[int], None]  # the how manieth
Seen = Callable[[int, dict[str, Any]], bool]


@contextmanager
def program(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`bench.agent_side`, ended with the context."""
    command = [sys.executable, "-m", "tests.bench.agent_side", *arguments]
    with subprocess.Popen(
        command, cwd=CHECKOUT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line(running: subprocess.Popen[str]) -> dict[str, Any]:
    """What it says next."""
    assert running.stdout is not None
    said: dict[str, Any] = json.loads(running.stdout.readline())
    return said


def write_node(api: Api, namespaces: int) -> None:
    """A node, and namespaces whose pods may be on it."""
    api.post(collection_path("Node"), {"metadata": {"name": NODE}})
    for number in range(namespaces):
        api.post(f"{CORE}/namespaces/n{number}/serviceaccounts", {"metadata": {"name": "default"}})


def write_pods(api: Api, namespaces: int) -> None:
    """As many as a node may have, each under one of the policies. All of their containers run."""
    write_node(api, namespaces)
    names = [f"c{number}" for number in range(CONTAINERS)]
    for number in range(PODS):
        namespace, name = f"n{number % namespaces}", f"pod-{number}"
        write_pod(api, namespace, name, f"a{number}", names)
        write_running(api, namespace, name, {each: f"{number}-{each}" for each in names})


def write_pod(api: Api, namespace: str, name: str, app: str, containers: Iterable[str]) -> str:
    """One that was bound to the node; returns its uid."""
    pod = {
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"nodeName": NODE, "containers": [{"name": each, "image": IMAGE} for each in containers]},
    }
    return str(api.post(collection_path("Pod", namespace), pod)["metadata"]["uid"])


def write_running(api: Api, namespace: str, name: str, containers: Mapping[str, str]) -> None:
    """What a kubelet says of a pod when all of its containers run, their ids by name."""
    running = [
        {"name": each, "image": IMAGE, "imageID": "x", "ready": True, "restartCount": 0,
         "containerID": f"containerd://{identifier}", "state": {"running": {}}}
        for each, identifier in containers.items()
    ]  # fmt: skip
    status = {"status": {"phase": "Running", "containerStatuses": running}}
    api.patch(object_path("Pod", namespace, name) + "/status", status, MERGE_TYPE)


def policy_changes(api: Api) -> tuple[Change, Seen]:
    """Versions of a policy, one after the other."""
    path = object_path("SecurityPolicy", "n0", "p0")

    def change(number: int) -> None:
        api.patch(path, {"spec": {"message": f"change {number}"}}, MERGE_TYPE)

    return change, lambda number, selected: selected["generation"] == number + 2


def label_changes(api: Api, containers: int) -> tuple[Change, Seen]:
    """A pod's label, by which a policy selects it, lost and found again."""
    path = object_path("Pod", "n1", "pod-1")

    def change(number: int) -> None:
        api.patch(path, {"metadata": {"labels": {"app": ("x", "a1")[number % 2]}}}, MERGE_TYPE)

    return change, lambda number, selected: selected["containers"] == (containers - CONTAINERS, containers)[number % 2]


def delays(change: Change, seen: Seen, running: subprocess.Popen[str]) -> list[float]:
    """Seconds from before a change is asked for until what is selected has been worked out with it."""
    found = []
    for number in range(CHANGES):
        began = time.time()
        change(number)
        while not seen(number, (said := line(running))["selected"]):
            pass
        found.append(said["at"] - began)
    return found


def one_agent(api: Api, kubeconfig: Path, kept: Path) -> dict[str, Any]:
    """A start with nothing, one with what that has kept, and what the latter hears."""
    with program("one", str(kubeconfig), NODE, str(kept)) as running:
        first = line(running)
    with program("one", str(kubeconfig), NODE, str(kept)) as running:
        again = line(running)
        policy = delays(*policy_changes(api), running)
        label = delays(*label_changes(api, again["selected"]["containers"]), running)
    return {"first": first, "again": again, "policy": spread(policy), "label": spread(label)}


def spread(found: list[float]) -> dict[str, float]:
    """In seconds."""
    return {"median_s": statistics.median(found), "most_s": max(found)}


def many_agents(kubeconfig: Path) -> dict[str, float]:
    """Requests a second of very many, from those of some with watches that live shorter."""
    with program("many", str(kubeconfig), str(MANY), str(SHORT_WATCH_S), str(WINDOW_S)) as running:
        said = line(running)
    rate = said["requests"] / WINDOW_S * (FOR_NODES / MANY) * (SHORT_WATCH_S / WATCH_S)
    return {"agents": MANY, "requests_a_second": rate, "for_nodes": FOR_NODES}
