"""A node's agent on this machine, whose kernel may refuse programs on LSM hooks: all of it but those.

The API server, the container runtime, the maps and the packet programs are real, so everything is done that an agent
does; only nothing is denied but connections and packets. Told `ask` on its standard input, it has the runtime ask it
before containers start, until it is told `leave`. Next step: `full_node` starts it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from bulkhead.agent.cluster.input import ClusterInput, ClusterSettings
from bulkhead.agent.cluster.starting import FailurePolicy, Starting
from bulkhead.agent.cluster.statement import NodeFacts
from bulkhead.agent.main import AgentSettings, node_identity, run_agent
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.starts import Starts
from bulkhead.kernel.bundle import Bundle, read_bundle
from bulkhead.kube.client import connect
from bulkhead.kube.kubeconfig import Choice
from bulkhead.log import configure
from bulkhead.settings import Paths


class Input(ClusterInput):
    """The cluster's, with a runtime that is told to ask and to leave off."""

    runtime: Path

    def tasks(self, sync: Sync, starts: Starts) -> dict[str, Callable[[], None]]:
        """What we are told, too."""
        return {**super().tasks(sync, starts), "told": lambda: self._obey(sync)}

    def _obey(self, sync: Sync) -> None:
        for line in sys.stdin:
            assert line == "ask\n"
            asked = Starting(self.runtime, FailurePolicy.FAIL, self._state, self.source, self._strict)
            serving = threading.Thread(target=asked.run, args=(sync,), daemon=True)
            serving.start()
            assert sys.stdin.readline() in ("leave\n", "")
            asked.stop()
            serving.join()
            print("left", flush=True)


def on_cgroups(bundle: Bundle) -> Bundle:
    """Its programs that are attached to a container's cgroup."""
    names = {program.name for program in bundle.plan if program.kind.on_cgroup}
    return replace(bundle, programs=tuple(each for each in bundle.programs if each.name in names))


def main(kubeconfig: Path, node: str, folder: Path, runtime: Path, bundle: Path) -> None:
    """Until we are killed."""
    configure(as_json=True)
    paths = Paths(state=folder / "state", pins=folder / "bpf/bulkhead")
    facts = NodeFacts(node, os.uname().release, node_identity(node).boot_id)
    asked = Input(connect(Choice(kubeconfig)), facts, ClusterSettings(state=paths.state))
    asked.runtime = runtime
    loaded = on_cgroups(read_bundle(bundle))
    with mock.patch("bulkhead.agent.main.bundle_for_this_kernel", return_value=loaded):
        run_agent(AgentSettings(node=node, paths=paths), asked)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(Path, sys.argv[3:]))
