"""A container as everything above the node sees it: a cgroup, a mount table, and the names that people gave it.

Its identity is the cgroup id: 64 bits, never reused while the node is up. Next step: `bulkhead.enforcement` binds the
cgroup to a policy set; `bulkhead.report` puts the names into violations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.abi import HOME_IS_NODE


@dataclass(frozen=True)
class Container:
    """One container, or one cgroup that is treated as one.

    `pid` is a process whose mount table is the container's, or None as long as there is none. `labels` are those of
    the pod; `namespace`, `pod`, `container`, `image` and `workload` are empty outside Kubernetes. `of_node`: it stands
    for processes of the node itself (`node.host`), whose mounts are the node's; `alone`: for none below the cgroup.
    """

    name: str
    cgroup: Path
    cgroup_id: int
    pid: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    namespace: str = ""
    pod: str = ""
    container: str = ""
    image: str = ""
    workload: str = ""
    of_node: bool = False
    alone: bool = False

    @property
    def home(self) -> int:
        """What the kernel has in `homes`: the cgroup whose files the container may write, as far as that is judged."""
        return HOME_IS_NODE if self.of_node else self.cgroup_id
