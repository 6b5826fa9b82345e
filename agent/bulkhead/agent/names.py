"""What the numbers in the kernel's records mean, asked of the enforcer. Next step: `report.decode`."""

from __future__ import annotations

from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.policy.rules import RuleReference
from bulkhead.report.identity import ContainerIdentity


class EnforcerNames:
    """`report.decode.Names` over an enforcer."""

    def __init__(self, enforcer: Enforcer) -> None:
        self._enforcer = enforcer

    def rule(self, set_id: int, number: int) -> RuleReference | None:
        """The rule that a number stands for."""
        return self._enforcer.rule(set_id, number)

    def container(self, index: int) -> ContainerIdentity | None:
        """The container at an index."""
        found = self._enforcer.container_at(index)
        if found is None:
            return None
        return ContainerIdentity(
            pod=found.pod,
            namespace=found.namespace,
            container=found.container or ("" if found.of_node else found.name),
            image=found.image,
            workload=found.workload,
            labels=found.labels,
            cgroup=str(found.cgroup),
        )

    def mount_prefix(self, container_index: int, device: int) -> bytes | None:
        """Where a container mounts a file system's root."""
        return self._enforcer.mount_prefix(container_index, device)
