"""Makes what is enforced equal to what is desired, again and again.

One container that cannot be enforced does not keep the others waiting: it is logged, what it had stays, and it is
tried again at the next change or after `RETRY_S`; at once where only the process that was looked at has ended.
Next step: `enforcement.enforcer`.
"""

from __future__ import annotations

import time

from bulkhead.agent.desired import PolicyFolder
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.roots import mount_namespace
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log
from bulkhead.node import cgroups
from bulkhead.node.container import Container

RETRY_S = 10.0

log = get_log()


class Sync:
    """Cgroups that match a pattern, under the policies of a folder."""

    def __init__(self, enforcer: Enforcer, policies: PolicyFolder, pattern: str) -> None:
        self._enforcer = enforcer
        self._policies = policies
        self._pattern = pattern
        self._failed: dict[int, float] = {}

    def step(self) -> int:
        """Look once and put right what differs; how many containers were changed."""
        changed_policies = self._policies.read()
        present = {cgroup.id: cgroup for cgroup in cgroups.expand(self._pattern)}
        changed = 0
        for container in self._enforcer.containers():
            if container.cgroup_id not in present:
                self._enforcer.release(container.cgroup_id)
                log.info("container_released", container=container.name)
                changed += 1
        for cgroup in present.values():
            container = Container(str(cgroup.path), cgroup.path, cgroup.id, pid=_first_process(cgroup))
            if changed_policies or self._is_due(container):
                changed += self._enforce(container)
        return changed

    def _is_due(self, container: Container) -> bool:
        failed_at = self._failed.get(container.cgroup_id)
        if failed_at is not None:
            return time.monotonic() - failed_at >= RETRY_S
        return self._enforcer.is_stale(container)

    def _enforce(self, container: Container) -> bool:
        try:
            changed = self._enforcer.enforce(container, self._policies.rules())
        except BulkheadError as error:
            gone = container.pid is not None and not mount_namespace(container.pid)
            self._failed[container.cgroup_id] = time.monotonic() - (RETRY_S if gone else 0)
            if not gone and container.cgroup.exists():
                log.error("container_failed", container=container.name, error=str(error))
            return False
        self._failed.pop(container.cgroup_id, None)
        return changed


def _first_process(cgroup: cgroups.Cgroup) -> int | None:
    """A process of the cgroup or below it, whose mounts stand for the container's."""
    for path in cgroups.walk(cgroup.path):
        try:
            first = (path / "cgroup.procs").read_text().split("\n", 1)[0]
        except OSError:  # it ended, or is threaded
            continue
        if first:
            return int(first)
    return None
