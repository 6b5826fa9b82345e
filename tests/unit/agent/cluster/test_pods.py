"""What is read of Pod objects."""

from __future__ import annotations

import pytest

from bulkhead.agent.cluster.pods import parse_pod, workload
from tests.unit.agent.cluster.objects import CONTAINER, UID, pod


def test_containers_of_every_kind_that_run_are_found() -> None:
    """Init, ordinary and ephemeral ones; not those that wait or have ended, whose cgroups are gone."""
    value = pod()
    running = {"running": {}}
    value["status"]["initContainerStatuses"] = [
        {"name": "sidecar", "containerID": "cri-o://b", "state": running},
        {"name": "done", "containerID": "cri-o://c", "state": {"terminated": {}}},
    ]
    value["status"]["ephemeralContainerStatuses"] = [{"name": "debug", "containerID": "cri-o://d", "state": running}]
    value["status"]["containerStatuses"].append({"name": "late", "state": {"waiting": {}}})
    found = [(each.name, each.id) for each in parse_pod(value).containers]
    assert found == [("sidecar", "b"), ("web", CONTAINER), ("debug", "d")]


def test_a_static_pod_has_the_cgroup_of_its_own_uid() -> None:
    """The mirror that the API server shows has another uid."""
    parsed = parse_pod(pod(annotations={"kubernetes.io/config.hash": "5f" * 16}))
    assert (parsed.uid, parsed.cgroup_uid) == (UID, "5f" * 16)


def test_a_pod_that_has_only_just_been_made_is_read() -> None:
    """It has neither labels nor a status."""
    parsed = parse_pod({"metadata": {"uid": UID, "name": "new", "namespace": "shop"}})
    assert (parsed.containers, parsed.labels, parsed.workload) == ((), {}, "")


@pytest.mark.parametrize(
    ("kind", "name", "labels", "expected"),
    [
        ("ReplicaSet", "web-7d9f8b6c5", {"pod-template-hash": "7d9f8b6c5"}, "Deployment/web"),
        ("ReplicaSet", "web-7d9f8b6c5", {}, "ReplicaSet/web-7d9f8b6c5"),
        ("Job", "report-29412345", {}, "CronJob/report"),
        ("Job", "report-7", {}, "Job/report-7"),
        ("StatefulSet", "db", {}, "StatefulSet/db"),
    ],
)
def test_the_workload_is_what_people_made(kind: str, name: str, labels: dict[str, str], expected: str) -> None:
    """Not what a controller made of it."""
    assert workload([{"kind": "X", "name": "y"}, {"kind": kind, "name": name, "controller": True}], labels) == expected
