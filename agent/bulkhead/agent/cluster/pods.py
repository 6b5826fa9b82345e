"""What of a Pod object matters here: whose it is, and its containers that run. Pure: JSON in, data out.

The API server has checked the objects; what the kubelet has not filled in yet is absent. Source of the fields: core/v1
of the Kubernetes API. Next step: `agent.cluster.state` keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# A static pod's cgroup is named after the uid that the kubelet gave it; the API server's mirror has another.
STATIC_UID = "kubernetes.io/config.hash"
TEMPLATE_HASH = "pod-template-hash"
STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


@dataclass(frozen=True)
class PodContainer:
    """A container that runs. `id` is the runtime's, without the runtime's name before it."""

    name: str
    id: str
    image: str = ""


@dataclass(frozen=True)
class Pod:
    """A pod. `cgroup_uid` is the uid by which its cgroup is named; `workload` is what owns it, as kind/name."""

    uid: str
    cgroup_uid: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    workload: str = ""
    containers: tuple[PodContainer, ...] = ()


def parse_pod(value: Mapping[str, Any]) -> Pod:
    """A Pod object."""
    metadata = value["metadata"]
    labels = metadata.get("labels") or {}
    return Pod(
        uid=metadata["uid"],
        cgroup_uid=(metadata.get("annotations") or {}).get(STATIC_UID, metadata["uid"]),
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=labels,
        workload=workload(metadata.get("ownerReferences") or [], labels),
        containers=tuple(_running(value.get("status") or {})),
    )


def with_containers(pod: Pod, more: Iterable[PodContainer]) -> Pod:
    """The pod with those of some containers that it does not name."""
    named = {container.id for container in pod.containers}
    unnamed = tuple(each for each in more if each.id not in named)
    return replace(pod, containers=pod.containers + unnamed) if unnamed else pod


def workload(owners: list[Mapping[str, Any]], labels: Mapping[str, str]) -> str:
    """What owns a pod, as kind/name, or empty.

    Behind a ReplicaSet whose name ends with the hash of its template is the Deployment of the rest of that name, behind
    a Job whose name ends with minutes since 1970 a CronJob: this is how their controllers name them.
    """
    for owner in owners:
        if owner.get("controller"):
            return _outermost(owner["kind"], owner["name"], labels)
    return ""


def _outermost(kind: str, name: str, labels: Mapping[str, str]) -> str:
    stem, _, last = name.rpartition("-")
    if kind == "ReplicaSet" and stem and last == labels.get(TEMPLATE_HASH):
        return f"Deployment/{stem}"
    if kind == "Job" and stem and last.isdecimal() and len(last) == len("29000000"):
        return f"CronJob/{stem}"
    return f"{kind}/{name}"


def _running(status: Mapping[str, Any]) -> Iterator[PodContainer]:
    for each in (each for group in STATUSES for each in status.get(group) or ()):
        identifier = each.get("containerID", "").rpartition("://")[2]
        if identifier and "running" in (each.get("state") or {}):
            yield PodContainer(each["name"], identifier, each.get("image", ""))
