"""Who a container and a node are, as violations name them: plain data that `bulkhead.node` and `bulkhead.kube` fill in.

Here and not there, because reports are written and tested without a node. Next step: `report.decode`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class ContainerIdentity:
    """A container under policy. Everything but `cgroup` is empty where there is no Kubernetes.

    `workload` is what owns the pod, as kind/name; `cgroup` is the path below the root of the hierarchy.
    """

    pod: str = ""
    namespace: str = ""
    container: str = ""
    image: str = ""
    workload: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cgroup: str = ""


@dataclass(frozen=True)
class NodeIdentity:
    """This node: its name, and the kernel's boot id (/proc/sys/kernel/random/boot_id)."""

    name: str = ""
    boot_id: str = ""


NOBODY = ContainerIdentity()
