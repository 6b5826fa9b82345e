"""`bulkhead doctor NODE`: what can be told of a node from afar: its Node, its agent's pod, its NodeState, its checks.

Nothing is run on the node: the API server is asked, and the agent's own checks (/readyz) are read through a port that
it forwards, as `kubectl port-forward` does. What the kernel lacks stands in the reason that the agent gives. Next step:
`monitoring.checks` for what the checks are; `kernel.features` looks at the kernel that this runs on.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bulkhead.cli.status_nodes import complaints
from bulkhead.cli.tables import as_list
from bulkhead.errors import Unreachable, UsageError
from bulkhead.kube.client import Api
from bulkhead.kube.conditions import find
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.pods import PodChoice, is_ready, state_of
from bulkhead.kube.portforward import forward_to

AGENTS = "app.kubernetes.io/name=bulkhead,app.kubernetes.io/component=agent"
MONITORING_PORT, ANSWER_S = 7444, 10.0
STATES = {True: "ok", False: "wrong", None: "unknown"}
Value = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `ok` is None where it could not be."""

    name: str
    ok: bool | None
    found: str
    remedy: str = ""


def chosen(api: Api, names: list[str], selector: str) -> list[Value]:
    """The Nodes of these names, or those that are selected; all, where neither says anything. Raises `UsageError`."""
    query = {"labelSelector": selector} if selector else None
    listed = api.get(collection_path("Node"), query).get("items") or ()
    nodes = {str(each["metadata"]["name"]): each for each in listed}
    missing = [name for name in names if name not in nodes]
    if missing or not nodes:
        what = f"no node {', '.join(missing)}" if missing else f"no node with labels {selector}"
        raise UsageError(f"there is {what} in this cluster: `kubectl get nodes` lists them; nothing was looked at")
    return [nodes[name] for name in names or sorted(nodes)]


def show_nodes(api: Api, nodes: list[Value], namespace: str, output: str) -> int:
    """`namespace` is the agents'. 0 where nothing is wrong on any node and all could be looked at."""
    pods = api.get(collection_path("Pod", namespace), {"labelSelector": AGENTS}).get("items") or ()
    agents = {each.get("spec", {}).get("nodeName", ""): each for each in pods}
    found = {node["metadata"]["name"]: list(look_at(api, node, agents, namespace)) for node in nodes}
    if output in ("json", "yaml"):
        print(as_list([_described(name, findings) for name, findings in found.items()], output))
    else:
        print("\n\n".join("\n".join(_text(name, findings)) for name, findings in found.items()))
    return 0 if all(each.ok for findings in found.values() for each in findings) else 1


def look_at(api: Api, node: Value, agents: Mapping[str, Value], namespace: str) -> Iterator[Finding]:
    """Everything that is looked at, each thing only where what it needs is there. Raises `Unreachable`."""
    name = node["metadata"]["name"]
    yield _node(node)
    agent = agents.get(name)
    yield _agent(agent, node, namespace)
    try:
        yield from _said(api.get(object_path("NodeState", "", name)), node)
    except NotFound:
        remedy = "its first agent writes one when it starts: see the agent's pod"
        yield Finding("NodeState", False, "there is none: nothing is enforced there, or nobody says so", remedy)
    if agent is not None and agent.get("status", {}).get("phase") == "Running":
        yield from _checks(api, PodChoice(namespace, agent["metadata"]["name"], is_ready_or_not=True))


def _node(node: Value) -> Finding:
    status = node.get("status") or {}
    info = status.get("nodeInfo") or {}
    ready = find(status.get("conditions") or (), "Ready")
    runs = f"kernel {info.get('kernelVersion', '?')}, {info.get('containerRuntimeVersion', '?')}"
    if ready.get("status") == "True":
        return Finding("node", True, runs)
    remedy = "see its kubelet: enforcement goes on meanwhile, and what is said of it may be old"
    return Finding("node", False, f"{runs}; not Ready: {ready.get('message', 'its kubelet says nothing')}", remedy)


def _agent(pod: Value | None, node: Value, namespace: str) -> Finding:
    if pod is None:
        taints = ", ".join(each["key"] for each in (node.get("spec") or {}).get("taints") or ())
        tainted = f" (the node's taints: {taints})" if taints else ""
        remedy = (
            f"see nodeSelector, affinity and tolerations of the chart's agent{tainted}, or name its namespace with "
        )
        return Finding("agent", False, f"no pod in namespace {namespace}", f"{remedy}--agent-namespace")
    name = f"{namespace}/{pod['metadata']['name']}"
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    restarts = sum(each.get("restartCount", 0) for each in containers)
    ended = [each.get("lastState", {}).get("terminated") or {} for each in containers]
    last = "; it ended last with: ".join(["", *(text for each in ended if (text := _line(each.get("message", ""))))])
    if is_ready(pod):
        return Finding("agent", True, f"{name}, {restarts} restarts")
    remedy = f"kubectl -n {namespace} logs {pod['metadata']['name']}; what was enforced goes on"
    return Finding("agent", False, f"{name} is {state_of(pod)}, {restarts} restarts{last}", remedy)


def _line(text: str) -> str:
    """The last line of a log."""
    return (text.strip().splitlines() or [""])[-1]


def _said(state: Value, node: Value) -> Iterator[Finding]:
    """What the NodeState says."""
    status = state.get("status") or {}
    boot_id = ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID", "")
    about = f"by agent {status.get('agentVersion', '?')}"
    if boot_id not in ("", status.get("bootId")):
        remedy = "nothing is enforced there until its agent is back: see the agent's pod"
        yield Finding("NodeState", False, f"{about}, of an earlier boot", remedy)
        return
    ready = find(status.get("conditions") or (), "Ready")
    remedy = "`bulkhead doctor` in the agent's image on that node tries each feature and says how to mend it"
    found = f"{about}: {ready.get('reason', 'nothing yet')}: {ready.get('message', '')}".rstrip(": ")
    yield Finding("NodeState", ready.get("status") == "True", found, remedy)
    rows = status.get("policies") or ()
    selected, enforced = (sum(row[key] for row in rows) for key in ("selected", "enforced"))
    behind = status.get("behind") or ()
    found = f"{len(rows)}, in force for {enforced} of {selected} containers" + "; behind: " * bool(behind)
    yield Finding("policies", enforced == selected, found + ", ".join(behind), "`bulkhead status --pod` says why")
    for text in complaints({**state, "status": {"failures": status.get("failures") or ()}}):
        yield Finding("failure", False, text, "see docs/limits.md for limits, and the policy's own status")


def _checks(api: Api, choice: PodChoice) -> Iterator[Finding]:
    """The agent's checks of itself, by a forwarded port."""
    try:
        with forward_to(api, choice, MONITORING_PORT, lambda _: None) as address:
            text = _asked(address)
    except (Unreachable, OSError, http.client.HTTPException) as error:
        remedy = getattr(error, "remedy", "") or "the agent does not answer: see its log"
        yield Finding("checks", None, f"not to be read: {error}", remedy)
        return
    for line in text.splitlines():
        mark, name = line[:3], line[3:]
        if mark in ("[+]", "[-]"):
            yield Finding(f"check {name.split(' ')[0]}", mark == "[+]", name.partition(" ")[2], "see the agent's log")


def _asked(address: str) -> str:
    """/readyz. 503 is an answer, too."""
    connection = http.client.HTTPConnection(address, timeout=ANSWER_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().read().decode(errors="replace")
    finally:
        connection.close()


def _described(name: str, findings: list[Finding]) -> dict[str, Any]:
    is_well = all(each.ok for each in findings)
    return {"node": name, "ok": is_well, "found": [asdict(each) for each in findings]}


def _text(name: str, findings: list[Finding]) -> Iterator[str]:
    width = max(len(each.name) for each in findings) + 2
    yield f"Node {name}:"
    for each in findings:
        yield f"  {each.name:<{width}}{STATES[each.ok]:<9}{each.found}"
    to_mend = [each for each in findings if not each.ok and each.remedy]
    if to_mend:
        yield "To mend:"
        yield from dict.fromkeys(f"  {each.name}: {each.remedy}" for each in to_mend)
