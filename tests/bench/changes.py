"""From a change in the API server to its effect in a node's kernel, a hundred times: of a policy, of a pod's label.

A change counts from the moment before it is sent. The agent's log tells when it had accepted a policy and when what it
came to was bound to the container, by the node's clock, which is put on ours. Next step: `cluster` calls this,
`page` shows medians and tails.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from queue import Empty, Queue
from threading import Thread
from typing import Any, TextIO

from bulkhead.kube.client import MERGE_TYPE, Api, connect
from bulkhead.kube.kubeconfig import Choice
from tests.cluster.enforcement.install import NAMESPACE
from tools.cluster import BIN, BenchError
from tools.cluster.cluster import Cluster

CHANGES = 100
WAIT_S = 60.0
POLICY = "/apis/bulkhead.dev/v1alpha1/namespaces/shop/securitypolicies/web"
POD = "/api/v1/namespaces/shop/pods/web"
CONTAINER = "shop/web/main"


class AgentLog:
    """What the agent says from now on, as it says it."""

    def __init__(self, lines: TextIO) -> None:
        self._said: Queue[dict[str, Any]] = Queue()
        Thread(target=self._read, args=(lines,), daemon=True).start()

    def await_moment(self, event: str, **wanted: Any) -> float:
        """When an event was said next, by the node's clock. Raises `BenchError` where it is not."""
        while True:
            try:
                said = self._said.get(timeout=WAIT_S)
            except Empty:
                raise BenchError(f"the agent has not said {event} within {WAIT_S:g} s") from None
            if said["event"] == event and wanted.items() <= said.items():
                return datetime.fromisoformat(said["timestamp"]).timestamp()

    def _read(self, lines: TextIO) -> None:
        for line in lines:
            if line.startswith("{"):
                self._said.put(json.loads(line))


@contextmanager
def followed(cluster: Cluster) -> Iterator[AgentLog]:
    """The agent's log."""
    command = [str(BIN / "kubectl"), "--namespace", NAMESPACE, "logs", "--follow", "--tail=0"]
    command.append("--selector=app.kubernetes.io/component=agent")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=cluster.environment()) as process:
        assert process.stdout is not None
        try:
            yield AgentLog(process.stdout)
        finally:
            process.terminate()


def measured(cluster: Cluster, difference_s: float) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each stage, in milliseconds. The node's clock is before ours by `difference_s`."""
    api = connect(Choice(cluster.kubeconfig))
    with followed(cluster) as log:
        _await_log(api, log)
        policies = [_policy_changed(api, log, turn) for turn in range(CHANGES)]
        labels = [_label_changed(api, log) for _ in range(CHANGES)]
    return {
        "written": _summary(written - sent for sent, written, _, _ in policies),
        "accepted": _summary(accepted - difference_s - sent for sent, _, accepted, _ in policies),
        "applied": _summary(bound - accepted for _, _, accepted, bound in policies),
        "policy": _summary(bound - difference_s - sent for sent, _, _, bound in policies),
        "label": _summary(bound - difference_s - sent for sent, bound in labels),
    }


def _summary(taken_s: Iterable[float]) -> dict[str, float]:
    percentiles = statistics.quantiles((each * 1e3 for each in taken_s), n=100, method="inclusive")
    return {"median_ms": percentiles[49], "p99_ms": percentiles[98]}


def _await_log(api: Api, log: AgentLog) -> None:
    """Lines arrive only once the kubelet follows the log: change the policy until one does."""
    for turn in range(CHANGES):
        _write_policy(api, f"waiting {turn}")
        try:
            log.await_moment("container_bound", container=CONTAINER)
        except BenchError:
            continue
        time.sleep(1.0)  # until what was written before is through
        return


def _policy_changed(api: Api, log: AgentLog, turn: int) -> tuple[float, float, float, float]:
    """When a change was sent, written, accepted, bound."""
    sent = time.time()
    generation = _write_policy(api, f"change {turn}")
    written = time.time()
    accepted = log.await_moment("policy_accepted", generation=generation)
    return sent, written, accepted, log.await_moment("container_bound", container=CONTAINER)


def _label_changed(api: Api, log: AgentLog) -> tuple[float, float]:
    """When a label was sent that selects the pod, and when its container was bound."""
    _label(api, "idle")
    log.await_moment("container_released", container=CONTAINER)
    sent = time.time()
    _label(api, "web")
    return sent, log.await_moment("container_bound", container=CONTAINER)


def _write_policy(api: Api, message: str) -> int:
    body = {"spec": {"message": message}}
    return int(api.patch(POLICY, body, MERGE_TYPE)["metadata"]["generation"])


def _label(api: Api, app: str) -> None:
    api.patch(POD, {"metadata": {"labels": {"app": app}}}, MERGE_TYPE)
