"""Finds the pod that answers for a service: by name, or one that is Ready among those with certain labels.

Next step: `kube.portforward` connects to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.objects import collection_path

Pod = dict[str, Any]


@dataclass(frozen=True)
class PodChoice:
    """Which pod: of that name, or any Ready one that `selector` selects, a label selector as kubectl takes it."""

    namespace: str
    pod: str = ""
    selector: str = ""
    is_ready_or_not: bool = False

    def __str__(self) -> str:
        return f"namespace {self.namespace}, " + (f"pod {self.pod}" if self.pod else f"pods with {self.selector}")


def ready_pod(api: Api, choice: PodChoice) -> str:
    """The name of a pod to speak to now. Raises `Unreachable`, with what the pods there are waiting for.

    One that is chosen though it may not be ready is named by the choice: nothing is asked.
    """
    if choice.is_ready_or_not:
        return choice.pod
    field = {"fieldSelector": f"metadata.name={choice.pod}"} if choice.pod else {"labelSelector": choice.selector}
    pods: list[Pod] = api.get(collection_path("Pod", choice.namespace), field).get("items") or []
    for pod in pods:
        if is_ready(pod):
            return str(pod["metadata"]["name"])
    if not pods:
        raise Unreachable(f"{choice}: there is none; what is enforced stays enforced")
    states = ", ".join(f"{pod['metadata']['name']} is {state_of(pod)}" for pod in pods[:5])
    raise Unreachable(f"{choice}: none is ready: {states}; what is enforced stays enforced")


def is_ready(pod: Pod) -> bool:
    """Whether it takes connections and will go on doing so."""
    conditions = pod.get("status", {}).get("conditions") or ()
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def state_of(pod: Pod) -> str:
    """What kubectl shows in the column STATUS, about."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    status = pod.get("status", {})
    for container in status.get("containerStatuses") or ():
        if waiting := container.get("state", {}).get("waiting"):
            return str(waiting.get("reason", "Waiting"))
    phase = str(status.get("phase", "Unknown"))
    return "not Ready" if phase == "Running" else phase
