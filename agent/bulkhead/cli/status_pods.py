"""`bulkhead status` by pod: which policies select each container, and is it under them right now?

Selection is worked out here, from the objects; what is in force is what the NodeState of the pod's node says. Next
step: `cli.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from bulkhead.agent.cluster.pods import Pod, parse_pod
from bulkhead.cli.cluster_options import Scope, in_namespace
from bulkhead.cli.tables import as_list, columns
from bulkhead.errors import Problem
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.policy.model import API_VERSION, Policy
from bulkhead.policy.model.node_state import MAX_BEHIND
from bulkhead.policy.parse import parse_object
from bulkhead.policy.select import Candidate, selects

HEADINGS = ("POD", "CONTAINER", "POLICY", "GENERATION", "ENFORCED", "SINCE")
WIDE = ("NODE",)
YES = "yes"


@dataclass(frozen=True)
class Selecting:
    """A policy's newest version. `policy` is None where that is refused: an older one may be in force."""

    key: PolicyKey
    generation: int
    policy: Policy | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Answer:
    """Of one container and one policy. `enforced` is `yes`, or what is known otherwise."""

    namespace: str
    pod: str
    node: str
    container: str
    policy: str = "-"
    generation: str = "-"
    enforced: str = "no policy selects it"
    since: str = "-"

    @property
    def is_yes(self) -> bool:
        """Whether nothing is missing."""
        return self.enforced == YES or self.policy == "-"

    def cells(self, all_namespaces: bool, wide: bool) -> tuple[str, ...]:
        """As a row."""
        before = (self.namespace,) if all_namespaces else ()
        after = (self.node or "-",) if wide else ()
        return *before, self.pod, self.container, self.policy, self.generation, self.enforced, self.since, *after


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


class Asking:
    """Asks an API server, each question once. All of it raises `Unreachable`."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._labels = cache(self._ask_labels)
        self._policies = cache(self._ask_policies)
        self._of_node = cache(self._ask_node)

    def pods(self, scope: Scope, name: str) -> list[Mapping[str, Any]]:
        """The one of that name, or those that are selected."""
        if name:
            return [self._api.get(object_path("Pod", *in_namespace(name, scope.namespace, "pod")))]
        return list(self._api.get(collection_path("Pod", scope.namespace), scope.query).get("items") or ())

    def about(self, value: Mapping[str, Any]) -> Asked:
        """Everything that the answers follow from."""
        pod, node = parse_pod(value), (value.get("spec") or {}).get("nodeName", "")
        state, host = self._of_node("NodeState", node) or {}, self._of_node("Node", node)
        node_labels = None if host is None else host["metadata"].get("labels") or {}
        boot_id = str((((host or {}).get("status") or {}).get("nodeInfo") or {}).get("bootID", ""))
        labels = self._labels(pod.namespace)
        return Asked(pod, node, state, boot_id, labels, node_labels, self._policies(pod.namespace))

    def _ask_labels(self, namespace: str) -> Mapping[str, str]:
        return self._api.get(object_path("Namespace", "", namespace))["metadata"].get("labels") or {}

    def _ask_policies(self, namespace: str) -> tuple[Selecting, ...]:
        listed = ((kind, self._api.get(collection_path(kind, namespace))) for kind in POLICY_KINDS)
        found = (_selecting(kind, each) for kind, page in listed for each in page.get("items") or ())
        return tuple(each for each in found if each)

    def _ask_node(self, kind: str, name: str) -> Mapping[str, Any] | None:
        """A node's object of a kind; None where there is none, as for a pod that has no node yet."""
        try:
            return self._api.get(object_path(kind, "", name)) if name else None
        except NotFound:
            return None


def show_pods(api: Api, scope: Scope, name: str, output: str) -> int:
    """A row a container and policy; 0 where each container is under all policies that select it."""
    asking = Asking(api)
    pods = asking.pods(scope, name)
    found = [answer for pod in pods for answer in answers(asking.about(pod))]
    if output in ("json", "yaml"):
        print(as_list([vars(each) for each in found], output))
    elif output == "name":
        print("\n".join(f"pod/{each['metadata']['name']}" for each in pods))
    else:
        print("\n".join([*table(found, not (scope.namespace or name), output == "wide"), *_empty(pods, found, scope)]))
    return 0 if found and all(each.is_yes for each in found) else 1


def table(found: Iterable[Answer], all_namespaces: bool, wide: bool) -> Iterator[str]:
    """The lines for people."""
    headings = (*(("NAMESPACE",) if all_namespaces else ()), *HEADINGS, *(WIDE if wide else ()))
    return columns([headings, *(each.cells(all_namespaces, wide) for each in found)])


def _empty(pods: list[Mapping[str, Any]], found: list[Answer], scope: Scope) -> Iterator[str]:
    if not pods:
        yield f"no pods {scope}: -n names another namespace, -A looks in all"
    elif not found:
        yield f"none of {len(pods)} pods has a container that runs"


def answers(asked: Asked) -> Iterator[Answer]:
    """A row a container and policy; a container that no policy selects has one, too."""
    for container in asked.pod.containers:
        about = Answer(asked.pod.namespace, asked.pod.name, asked.node, container.name)
        found = selecting(asked, container.name)
        for each in found:
            yield _answer(asked, about, each)
        if not found:
            yield about


def selecting(asked: Asked, container: str) -> list[Selecting]:
    """The policies that select a container of the pod, or may select it."""
    pod = asked.pod
    candidate = Candidate(pod.namespace, pod.labels, asked.namespace_labels, container, asked.node_labels)
    return [each for each in asked.policies if each.policy is None or selects(each.policy, candidate) is not False]


def _answer(asked: Asked, about: Answer, policy: Selecting) -> Answer:
    status = asked.node_state.get("status") or {}
    about = replace(about, policy=f"{policy.key.namespace}/{policy.key.name}".lstrip("/"))
    if policy.policy is None:
        refused = "unknown: its newest generation is refused, so whom it selects is not known"
        return replace(about, generation=str(policy.generation), enforced=refused)
    row = next((each for each in status.get("policies") or () if _key(each) == policy.key), None)
    if row is None:
        return replace(about, enforced=f"no: the agent on {asked.node or 'no node'} does not say so (yet)")
    verdict = _verdict(asked, about, policy, row)
    return replace(about, generation=str(row["generation"]), enforced=verdict, since=row["since"])


def _verdict(asked: Asked, about: Answer, policy: Selecting, row: Mapping[str, Any]) -> str:
    status = asked.node_state["status"]
    if asked.boot_id not in ("", status.get("bootId")):
        return "no: the node was booted anew, and its agent is not back"
    name = f"{about.namespace}/{about.pod}/{about.container}"
    for failure in status.get("failures") or ():
        if failure["object"] == name:
            return f"no: {failure['reason']}"
    behind = status.get("behind") or ()
    if name in behind:
        return "no: it is not under all that selects it yet"
    is_told_of = 0 < len(behind) < MAX_BEHIND
    if row["enforced"] < row["selected"] and not is_told_of:
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
    return Selecting(key_of(kind, value), int(value["metadata"]["generation"]), policy, parsed.problems)
