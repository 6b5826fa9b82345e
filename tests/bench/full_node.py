"""A node with as many pods as it may have, natively: what we add to a container's start, what a changed policy takes.

API server, containerd, runc and containers are real; the kubelet's part is done here. The agent is real but for the
programs on LSM hooks (`native_agent`). All of it runs in namespaces of mounts and processes of its own, in which cgroup
v2 is what a node has, and ends with them. Writes full_node.json. Next step: `page` says what the figures mean.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bulkhead.kernel.compiler import compile_bundle
from bulkhead.kube.client import Api, connect
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.policy.model import API_VERSION
from tests.bench import agents, changes
from tests.bench.agent_log import AgentLog
from tests.bench.resident import resident_mib
from tests.bench.runtime import PODS, Runtime, Sandbox
from tests.cluster.api_server.conftest import create_crds
from tools.cluster import control_plane, credentials

NAMESPACES = 25
ROUNDS = 25  # of two starts with us and two without
ONE, ALL = 50, 3  # changes of a policy of one container, of one of all
REST_S = 20.0
SETTLE_S = 1.0  # until an agent that was just taken in has looked at what there is
FLAGS = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
CGROUPS = Path("/sys/fs/cgroup")
RULES = 10


def policy(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Of ten file rules, and what else is told."""
    rules = [{"name": f"r{each}", "action": "Deny", "paths": [f"/srv/{name}/{each}/**"]} for each in range(RULES)]
    body = {"podSelector": {}, "files": {"rules": rules}, **spec}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": body}


def of_all() -> dict[str, Any]:
    """For every container of the node: files, programs, capabilities and addresses."""
    egress = {"rules": [{"name": "n", "action": "Deny", "to": [{"cidr": "203.0.113.0/24"}]}]}
    spec = {
        "exec": {"rules": [{"name": "x", "action": "Deny", "paths": ["/usr/bin/apt*"]}]},
        "capabilities": {"rules": [{"name": "c", "action": "Deny", "names": ["NET_RAW"]}]},
        "network": {"egress": egress},
    }
    return policy("ClusterSecurityPolicy", "all", spec)


def of_one(pod: int, container: int) -> dict[str, Any]:
    """For one container, so that no two have the same set."""
    selected = {"podSelector": {"matchLabels": {"app": f"a{pod}"}}, "containers": [f"c{container}"]}
    return policy("SecurityPolicy", f"p{pod}-c{container}", selected)


def namespace_of(pod: int) -> str:
    """Pods are in one after the other."""
    return f"n{pod % NAMESPACES}"


class Agent:
    """The one of the node, and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.pid, self.log = process.pid, AgentLog(process.stderr)
        self._told, self._said = process.stdin, process.stdout

    def ask(self) -> None:
        """From now on it is asked before containers start."""
        self._tell("ask")
        self.log.await_moment("runtime_reached")
        time.sleep(SETTLE_S)

    def leave(self) -> None:
        """No more."""
        self._tell("leave")
        assert self._said.readline() == "left\n"

    def map_bytes(self) -> int:
        """What its maps take of the kernel's memory."""
        found = {}
        for each in Path(f"/proc/{self.pid}/fdinfo").iterdir():
            text = each.read_text()
            if "map_id:" in text:
                found[_number("map_id", text)] = _number("memlock", text)
        return sum(found.values())

    def processor_share(self, seconds: float) -> float:
        """Of one processor, when nothing changes."""
        before = self._processor_s()
        time.sleep(seconds)
        return (self._processor_s() - before) / seconds

    def _processor_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _tell(self, word: str) -> None:
        self._told.write(f"{word}\n")
        self._told.flush()


def _number(name: str, text: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+)$", text, re.MULTILINE)
    assert match
    return int(match[1])


@contextmanager
def agent(kubeconfig: Path, folder: Path, runtime: Runtime) -> Iterator[Agent]:
    """Ready, with nothing to do."""
    bundle, pins = folder / "bundle", folder / "bpf"
    compile_bundle(Path("/sys/kernel/btf/vmlinux"), bundle)
    pins.mkdir()
    subprocess.run(["mount", "-t", "bpf", "bpf", pins], check=True)
    words = [kubeconfig, agents.NODE, folder, runtime.nri, bundle]
    command = [sys.executable, "-m", "tests.bench.native_agent", *map(str, words)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            found = Agent(process)
            found.log.await_moment("agent_ready")
            yield found
        finally:
            process.kill()


class Node:
    """What there is of it."""

    def __init__(self, api: Api, runtime: Runtime, agent: Agent) -> None:
        self.api, self.runtime, self.agent = api, runtime, agent

    def run_pod(self, number: int, containers: int) -> Sandbox:
        """A pod's object, and its sandbox."""
        namespace, name, app = namespace_of(number), f"pod-{number}", f"a{number}"
        uid = agents.write_pod(self.api, namespace, name, app, [f"c{each}" for each in range(containers)])
        return self.runtime.run_pod(namespace, name, uid, {"app": app})

    def fill(self) -> list[str]:
        """All pods, until their containers are under their sets; returns the containers as the agent names them."""
        names = []
        for number in range(agents.PODS):
            sandbox = self.run_pod(number, agents.CONTAINERS)
            started = {f"c{each}": self.runtime.start(sandbox, f"c{each}") for each in range(agents.CONTAINERS)}
            agents.write_running(self.api, namespace_of(number), f"pod-{number}", started)
            names += [f"{namespace_of(number)}/pod-{number}/{each}" for each in started]
        self.agent.log.await_bound(names)
        return names

    def started_s(self, sandbox: Sandbox) -> float:
        """Seconds to create a container and start it."""
        began = time.perf_counter()
        container = self.runtime.start(sandbox, "c0")
        took = time.perf_counter() - began
        self.runtime.remove(container)
        return took

    def starts(self, number: int) -> dict[str, dict[str, float]]:
        """In a pod of one container, by turns: while the agent is asked, and while it is not."""
        sandbox = self.run_pod(number, 1)
        asked, unasked = [], []
        for _ in range(ROUNDS):
            self.agent.ask()
            asked += [self.started_s(sandbox) for _ in range(2)]
            self.agent.leave()
            unasked += [self.started_s(sandbox) for _ in range(2)]
        with_us, without = changes.summary(asked), changes.summary(unasked)
        added = {name: with_us[name] - without[name] for name in with_us}
        return {"asked": with_us, "unasked": without, "added": added}


def measure(api: Api, runtime: Runtime, agent: Agent) -> dict[str, Any]:
    """On a node without other pods, then on a full one."""
    node = Node(api, runtime, agent)
    found: dict[str, Any] = {"pods": agents.PODS, "containers": agents.PODS * agents.CONTAINERS}
    found["starts_alone"] = node.starts(agents.PODS)
    found["empty"] = {"mib": resident_mib(agent.pid), "map_bytes": agent.map_bytes()}
    names = node.fill()
    found["full"] = {"mib": resident_mib(agent.pid), "map_bytes": agent.map_bytes()}
    found["rest_share"] = agent.processor_share(REST_S)
    found["starts_full"] = node.starts(agents.PODS + 1)
    one, every = object_path("SecurityPolicy", "n0", "p0-c0"), object_path("ClusterSecurityPolicy", "", "all")
    found["one"] = changes.stages_of([changed(node, one, names[:1], turn) for turn in range(ONE)])
    found["all"] = changes.stages_of([changed(node, every, names, turn) for turn in range(ALL)])
    found["changed_mib"] = resident_mib(agent.pid)
    return found


def changed(node: Node, path: str, containers: list[str], turn: int) -> changes.Stages:
    """One change of a policy, not in step with the agent's looks."""
    time.sleep(0.1 + 0.01 * turn)
    return changes.policy_changed(node.api, node.agent.log, path, containers, f"change {turn}")


def write_policies(api: Api) -> None:
    """One for each container, in the order of pods, and one for all; those of the pods that are measured, too."""
    for number in range(NAMESPACES):
        api.post(collection_path("Namespace"), {"metadata": {"name": f"n{number}"}})
    agents.write_node(api, NAMESPACES)
    api.post(collection_path("ClusterSecurityPolicy"), of_all())
    for pod in range(agents.PODS + 2):
        for container in range(agents.CONTAINERS):
            api.post(collection_path("SecurityPolicy", namespace_of(pod)), of_one(pod, container))


def inside(folder: Path, results: Path) -> None:
    """In the namespaces, with a folder for everything."""
    with ExitStack() as ends:
        made = credentials.make(folder / "credentials")
        control_plane.start_api_server(made, folder, ends)
        kubeconfig = made.kubeconfig("admin")
        api = connect(Choice(kubeconfig))
        create_crds(api)
        write_policies(api)
        runtime = Runtime(folder / "containerd", ends)
        running = ends.enter_context(agent(kubeconfig, folder, runtime))
        found = {**measure(api, runtime, running), "kernel": os.uname().release}
    (results / "full_node.json").write_text(json.dumps(found))


def main(results: Path) -> None:
    """Make the namespaces, and take away the cgroups afterwards."""
    subprocess.run(["umount", "--recursive", CGROUPS], check=True)  # ours only: the mounts of who started us stay
    subprocess.run(["mount", "-t", "cgroup2", "none", CGROUPS], check=True)
    command = ["unshare", *FLAGS, sys.executable, "-m", "tests.bench.full_node", "inside"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            subprocess.run([*command, folder, results], check=True)
        finally:
            for cgroup, _, _ in os.walk(CGROUPS / PODS.split("/")[1], topdown=False):
                Path(cgroup).rmdir()


if __name__ == "__main__":
    {"inside": inside, "main": main}[sys.argv[1]](*map(Path, sys.argv[2:]))
