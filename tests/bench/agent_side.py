"""The cluster's side of an agent, in a process of its own: what it takes to know so many policies, and to hear of one.

`one` is a whole agent but for the kernel: it prints a line when it knows everything, then one for each selection that
it works out. `many` are the watches of many, which keep nothing. Both end with their standard input. Next step:
`bench.agents` starts them.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bulkhead.agent.cluster.selection import Selection
from bulkhead.agent.cluster.state import ClusterState, Snapshot
from bulkhead.agent.cluster.watching import Watching
from bulkhead.kube.client import connect
from bulkhead.kube.kubeconfig import Choice
from bulkhead.kube.reflector import Tuning
from bulkhead.log import configure
from tests.bench.resident import resident_mib

CHANGED = "p0"  # the policy whose generation is told


class Nobody(ClusterState):
    """Hears everything and keeps nothing."""

    def __init__(self) -> None:
        """Without a folder."""

    def take(self, kind: str, value: dict[str, Any]) -> dict[str, Any]:
        """Its name is enough to be one of all."""
        return {"metadata": {"name": value["metadata"]["name"]}}

    def replace(self, kind: str, values: object) -> None:
        """Nothing."""

    def change(self, kind: str, event: str, value: object) -> None:
        """Nothing."""


def tell(**what: object) -> None:
    """A line for who started us."""
    print(json.dumps(what), flush=True)


def started(tasks: dict[str, Callable[[], None]]) -> None:
    """Each in a thread that does not keep the process."""
    for task in tasks.values():
        threading.Thread(target=task, daemon=True).start()


def one(kubeconfig: str, node: str, kept: str) -> None:
    """See above."""
    began = time.monotonic()
    state = ClusterState(Path(kept))
    started(Watching(connect(Choice(Path(kubeconfig))), state, node).tasks())
    while state.snapshot() is None or not (snapshot := state.snapshot()).pods:  # type: ignore[union-attr]
        state.changed.wait(1)
        state.changed.clear()
    known_s, cpu_s = time.monotonic() - began, time.process_time()
    selected(snapshot)
    tell(known_s=known_s, cpu_s=cpu_s, mib=resident_mib(), selected=selected(snapshot))
    while state.changed.wait():
        state.changed.clear()
        if snapshot := state.snapshot():
            tell(selected=selected(snapshot), at=time.time())


def selected(snapshot: Snapshot | None) -> dict[str, Any]:
    """What policies select on the node: how many containers, which version of the changed policy, and the time."""
    assert snapshot is not None
    began = time.perf_counter()
    found = Selection().of(snapshot, snapshot.pods, {})
    took_s = time.perf_counter() - began
    generations = {policy.generation for each in found for policy in each.policies if policy.key.name == CHANGED}
    return {"containers": len(found), "generation": max(generations, default=0), "took_s": took_s}


def many(kubeconfig: str, count: str, watch_s: str, window_s: str) -> None:
    """Prints how many requests they made in the window, once all know everything."""
    api = connect(Choice(Path(kubeconfig)))
    tuning = Tuning(watch_s=int(watch_s))
    agents = [Watching(api, Nobody(), f"node-{number}", tuning) for number in range(int(count))]
    for agent in agents:
        started(agent.tasks())
        for reflector in agent.reflectors():
            reflector.synced.wait()
    before = asked(agents)
    time.sleep(float(window_s))
    tell(requests=asked(agents) - before, mib=resident_mib())


def asked(agents: list[Watching]) -> int:
    """Of the API server, so far."""
    counters = [reflector.counters for agent in agents for reflector in agent.reflectors()]
    return sum(each.watches + each.lists for each in counters)


if __name__ == "__main__":
    configure("warning")
    what = {"one": one, "many": many}[sys.argv[1]]
    threading.Thread(target=what, args=sys.argv[2:], daemon=True).start()
    sys.stdin.read()
