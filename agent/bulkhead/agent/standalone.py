"""The agent's input where there is no API server: every cgroup of a pattern, under every policy of a folder.

Next step: `agent.sync`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.agent.desired import PolicyFolder
from bulkhead.agent.metrics import policy_samples
from bulkhead.agent.source import Assignment
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log
from bulkhead.monitoring.exposition import Sample
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from bulkhead.node.processes import Representatives

if TYPE_CHECKING:
    from bulkhead.agent.sync import Sync
    from bulkhead.enforcement.starts import Starts

INIT = 1

log = get_log()


class CgroupSource:
    """`agent.source.Source` over a folder of policies and a shell pattern of cgroups.

    Cgroups that hold the agent itself are left out: under a policy that denies it what it needs, it could not take that
    back.
    """

    def __init__(self, policies: PolicyFolder, pattern: str) -> None:
        self._policies = policies
        self._pattern = pattern
        self._left_out: frozenset[Path] = frozenset()
        self._representatives = Representatives()

    def read(self) -> tuple[Assignment, ...]:
        """Look at both."""
        self._policies.read()
        rules = self._policies.rules()
        found = self._without_own(cgroups.expand(self._pattern))
        processes = self._representatives.of(found)
        return tuple(Assignment(_container(cgroup, processes.get(cgroup.id)), rules) for cgroup in found)

    def _without_own(self, found: tuple[cgroups.Cgroup, ...]) -> tuple[cgroups.Cgroup, ...]:
        own = cgroups.above(os.getpid())
        left_out = frozenset(each.path for each in found if each.id in own)
        for path in left_out - self._left_out:
            log.warning("own_cgroup_left_out", file=str(path))
        self._left_out = left_out
        return tuple(each for each in found if each.id not in own)

    def spared(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def is_over(self, container: Container) -> bool:
        """Always: the pattern names every container there is."""
        del container
        return True


class StandaloneInput:
    """`agent.source.Input`: nothing runs for it, it is looked at."""

    def __init__(self, policies: PolicyFolder, pattern: str) -> None:
        self.source = CgroupSource(policies, pattern)
        self._policies = policies
        self.changed = threading.Event()

    def tasks(self, sync: Sync, starts: Starts) -> dict[str, Callable[[], None]]:
        """None. Nobody asks for strict starts here."""
        starts.ask_no_more()
        return {}

    def samples(self) -> Iterable[Sample]:
        """The policies of the folder; of a file that is refused the number is not known: it counts as one."""
        return policy_samples(len(self._policies.rules()), self._policies.refused())

    def stop(self) -> None:
        """Nothing runs."""

    def tell_unable(self, error: BulkheadError) -> None:
        """Whoever started the agent reads what it says."""


def _container(cgroup: cgroups.Cgroup, process: int | None) -> Container:
    """Where nothing runs yet, the machine's own mounts stand for what will be seen."""
    return Container(str(cgroup.path), cgroup.path, cgroup.id, pid=process or INIT)
