"""A container is under its policies from its first instruction: programs whose first act is the forbidden one."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.cluster.enforcement.shop import IMAGE, Shop, pod
from tests.cluster.enforcement.test_denials import TOKEN

# Containers that a suite starts; each costs the emulated node seconds. All 300: BULKHEAD_STARTS=300.
STARTS = int(os.environ.get("BULKHEAD_STARTS", "16"))
IN_A_POD, AT_ONCE = 4, 4
READ = ["cat", TOKEN]
ENDED_S = 300


def racer(name: str, label: str, command: list[str], containers: int = IN_A_POD, **spec: Any) -> dict[str, Any]:
    """A pod whose containers each run the command once."""
    each = [{"name": f"c{number}", "image": IMAGE, "command": command} for number in range(containers)]
    return pod(name, label, restartPolicy="Never", **{"containers": each, **spec})


def ended(shop: Shop, phase: str, *pods: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """How the containers of some pods ended, by pod; the pods are made, waited for, and taken away."""
    shop.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
    states = {}
    for name in (each["metadata"]["name"] for each in pods):
        shop.kubectl("wait", "pod", name, f"--for=jsonpath={{.status.phase}}={phase}", f"--timeout={ENDED_S}s")
        status = json.loads(shop.kubectl("get", "pod", name, "-o", "json"))["status"]
        told = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        states[name] = [row["state"].get("terminated", {}) for row in told]
    shop.kubectl("delete", "pod", *states, "--now", "--wait=false")
    return states


def test_no_start_gets_through(shop: Shop) -> None:
    """Every container of every pod; the same program in a pod that is not selected succeeds."""
    names = [f"race-{number}" for number in range(max(1, STARTS // IN_A_POD))]
    for batch in (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE)):
        for name, states in ended(shop, "Failed", *(racer(name, "web", READ) for name in batch)).items():
            assert [state["exitCode"] for state in states] == [1] * IN_A_POD, (name, states)
    (control,) = ended(shop, "Succeeded", racer("race-free", "free", READ)).values()
    assert [state["exitCode"] for state in control] == [0] * IN_A_POD


@pytest.mark.parametrize(("label", "phase", "status"), [("web", "Failed", 1), ("free", "Succeeded", 0)])
def test_an_init_container_is_one_like_any_other(shop: Shop, label: str, phase: str, status: int) -> None:
    """It is the first of its pod: nothing of the pod was looked at before."""
    init = [{"name": "init", "image": IMAGE, "command": READ}]
    made = racer(f"init-{label}", label, ["true"], 1, initContainers=init)
    (states,) = ended(shop, phase, made).values()
    assert states[0]["exitCode"] == status, states


@pytest.mark.parametrize(("label", "phase"), [("web", "Failed"), ("free", "Succeeded")])
def test_a_forbidden_program_is_not_even_begun(shop: Shop, label: str, phase: str) -> None:
    """The runtime itself executes it, and is refused."""
    made = racer(f"program-{label}", label, ["/usr/bin/dpkg", "--version"], 1)
    ((state,),) = ended(shop, phase, made).values()
    assert (state["exitCode"] != 0) is (label == "web"), state
