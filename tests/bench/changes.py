"""From a change in the API server to its effect in a node's kernel, a hundred times: of a policy, of a pod's label.

A change counts from the moment before it is sent. The agent's log tells when it had accepted a policy and when what it
came to was bound to the containers, by the node's clock, which is put on ours. Next step: `cluster` and `full_node`
call this, `page` shows medians and tails.
"""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bulkhead.kube.client import MERGE_TYPE, Api, connect
from bulkhead.kube.kubeconfig import Choice
from tests.bench.agent_log import BOUND, AgentLog
from tests.cluster.enforcement.install import NAMESPACE
from tools.cluster import BIN, BenchError
from tools.cluster.cluster import Cluster

CHANGES = 100
POLICY = "/apis/bulkhead.dev/v1alpha1/namespaces/shop/securitypolicies/web"
POD = "/api/v1/namespaces/shop/pods/web"
CONTAINER = "shop/web/main"


@dataclass(frozen=True)
class Stages:
    """When a change of a policy was sent and written, by our clock; accepted, and bound to the first and last container
    by the agent's.
    """

    sent: float
    written: float
    accepted: float
    first: float
    last: float


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
        policies = [policy_changed(api, log, POLICY, [CONTAINER], f"change {turn}") for turn in range(CHANGES)]
        labels = [_label_changed(api, log) for _ in range(CHANGES)]
    label = summary(bound - difference_s - sent for sent, bound in labels)
    return {**stages_of(policies, difference_s), "label": label}


def stages_of(changes: Sequence[Stages], difference_s: float = 0.0) -> dict[str, dict[str, float]]:
    """The same of a policy that was changed several times."""
    return {
        "written": summary(each.written - each.sent for each in changes),
        "accepted": summary(each.accepted - difference_s - each.sent for each in changes),
        "applied": summary(each.last - each.accepted for each in changes),
        "first": summary(each.first - difference_s - each.sent for each in changes),
        "policy": summary(each.last - difference_s - each.sent for each in changes),
    }


def summary(taken_s: Iterable[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    percentiles = statistics.quantiles((each * 1e3 for each in taken_s), n=100, method="inclusive")
    return {"median_ms": percentiles[49], "p99_ms": percentiles[98]}


def policy_changed(api: Api, log: AgentLog, path: str, containers: Collection[str], message: str) -> Stages:
    """A change of a policy until all containers that it selects are under it."""
    sent = time.time()
    generation = write_policy(api, path, message)
    written = time.time()
    accepted = log.await_moment("policy_accepted", generation=generation)
    return Stages(sent, written, accepted, *log.await_bound(containers))


def write_policy(api: Api, path: str, message: str) -> int:
    """Change what it says to people; returns its generation."""
    body = {"spec": {"message": message}}
    return int(api.patch(path, body, MERGE_TYPE)["metadata"]["generation"])


def _await_log(api: Api, log: AgentLog) -> None:
    """Lines arrive only once the kubelet follows the log: change the policy until one does."""
    for turn in range(CHANGES):
        write_policy(api, POLICY, f"waiting {turn}")
        try:
            log.await_moment(BOUND, container=CONTAINER)
        except BenchError:
            continue
        time.sleep(1.0)  # until what was written before is through
        return


def _label_changed(api: Api, log: AgentLog) -> tuple[float, float]:
    """When a label was sent that selects the pod, and when its container was bound."""
    _label(api, "idle")
    log.await_moment("container_released", container=CONTAINER)
    sent = time.time()
    _label(api, "web")
    return sent, log.await_moment(BOUND, container=CONTAINER)


def _label(api: Api, app: str) -> None:
    api.patch(POD, {"metadata": {"labels": {"app": app}}}, MERGE_TYPE)
