"""`bulkhead status --pod`: which policies select each container of a pod, and is it under them right now?

Selection is worked out here, from the objects; what is in force is what the NodeState of the pod's node says. That
counts containers by policy, so where some of a node's are behind, only a failure tells whether this one is. Pure but
for `ask`. Next step: `cli.status`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.agent.cluster.pods import Pod, PodContainer, parse_pod
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.policy.model import API_VERSION, Policy
from bulkhead.policy.parse import parse_object
from bulkhead.policy.select import Candidate, selects

HEADINGS = ("CONTAINER", "POLICY", "GENERATION", "ENFORCED", "SINCE")
YES = "yes"


@dataclass(frozen=True)
class Selecting:
    """A policy's newest version. `policy` is None where that is refused: an older one may be in force."""

    key: PolicyKey
    generation: int
    policy: Policy | None


@dataclass(frozen=True)
class Answer:
    """Of one container and one policy. `enforced` is `yes`, or what is known otherwise."""

    container: str
    policy: str
    generation: str
    enforced: str
    since: str

    def cells(self) -> tuple[str, ...]:
        """As a row."""
        return self.container, self.policy, self.generation, self.enforced, self.since


@dataclass(frozen=True)
class Asked:
    """What the API server has of a pod."""

    pod: Pod
    node: str
    node_state: Mapping[str, Any]
    boot_id: str
    namespace_labels: Mapping[str, str]
    node_labels: Mapping[str, str] | None
    policies: tuple[Selecting, ...]


def ask(api: Api, namespace: str, name: str) -> Asked:
    """Everything that the answers follow from. Raises `Unreachable`."""
    value = api.get(object_path("Pod", namespace, name))
    node = (value.get("spec") or {}).get("nodeName", "")
    labels = api.get(object_path("Namespace", "", namespace))["metadata"].get("labels") or {}
    listed = ((kind, api.get(collection_path(kind, namespace))) for kind in POLICY_KINDS)
    policies = tuple(_selecting(kind, each) for kind, page in listed for each in page.get("items") or ())
    state = _found(api, "NodeState", node) or {}
    host = _found(api, "Node", node)
    node_labels = None if host is None else host["metadata"].get("labels") or {}
    boot_id = str((((host or {}).get("status") or {}).get("nodeInfo") or {}).get("bootID", ""))
    return Asked(parse_pod(value), node, state, boot_id, labels, node_labels, tuple(each for each in policies if each))


def answers(asked: Asked) -> Iterator[Answer]:
    """A row a container and policy; a container that no policy selects has one, too."""
    for container in asked.pod.containers:
        candidate = Candidate(
            asked.pod.namespace, asked.pod.labels, asked.namespace_labels, container.name, asked.node_labels
        )
        selecting = [
            each for each in asked.policies if each.policy is None or selects(each.policy, candidate) is not False
        ]
        for each in selecting:
            yield _answer(asked, container, each)
        if not selecting:
            yield Answer(container.name, "-", "-", "no policy selects it", "-")


def _answer(asked: Asked, container: PodContainer, policy: Selecting) -> Answer:
    status = asked.node_state.get("status") or {}
    title = f"{policy.key.namespace}/{policy.key.name}".lstrip("/")
    key = policy.key
    if policy.policy is None:
        refused = "unknown: its newest generation is refused, so whom it selects is not known"
        return Answer(container.name, title, str(policy.generation), refused, "-")
    row = next((each for each in status.get("policies") or () if _key(each) == key), None)
    if row is None:
        return Answer(container.name, title, "-", f"no: the agent on {asked.node} does not say so (yet)", "-")
    return Answer(container.name, title, str(row["generation"]), _verdict(asked, container, policy, row), row["since"])


def _verdict(asked: Asked, container: PodContainer, policy: Selecting, row: Mapping[str, Any]) -> str:
    status = asked.node_state["status"]
    if asked.boot_id not in ("", status.get("bootId")):
        return "no: the node was booted anew, and its agent is not back"
    name = f"{asked.pod.namespace}/{asked.pod.name}/{container.name}"
    for failure in status.get("failures") or ():
        if failure["object"] == name:
            return f"no: {failure['reason']}"
    if row["enforced"] < row["selected"]:
        return f"unknown: {row['enforced']} of {row['selected']} containers on {asked.node} are under it"
    if row["generation"] != policy.generation:
        return f"no: generation {policy.generation} is not in force yet"
    return YES


def _key(row: Mapping[str, Any]) -> PolicyKey:
    return PolicyKey(row["kind"], row.get("namespace", ""), row["name"])


def _selecting(kind: str, value: Mapping[str, Any]) -> Selecting | None:
    document = {**value, "apiVersion": API_VERSION, "kind": kind}
    document.pop("status", None)
    parsed = parse_object(document, str(key_of(kind, value)))
    policy = parsed.policies[0] if parsed.policies else None
    if policy and policy.spec.mode == "Disabled":
        return None
    return Selecting(key_of(kind, value), int(value["metadata"]["generation"]), policy)


def _found(api: Api, kind: str, name: str) -> Mapping[str, Any] | None:
    """A node's object of a kind; None where there is none, as for a pod that has no node yet."""
    try:
        return api.get(object_path(kind, "", name)) if name else None
    except NotFound:
        return None
