"""A namespace with pods to act in."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.cluster.cluster import Cluster
from tools.vm import CHECKOUT

IMAGE = "local.test/debian:12"
POLICY = CHECKOUT / "examples/web.yaml"
ENFORCED_S = 180.0


def pod(name: str, label: str, **spec: Any) -> dict[str, Any]:
    """A pod of Debian that does nothing, labelled app=`label`."""
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "infinity"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": label}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec},
    }


@dataclass(frozen=True)
class Done:
    """A command that ended in a container."""

    status: int
    text: str

    @property
    def denied(self) -> bool:
        """Whether it failed as what the kernel refuses does: EPERM, in the words of whoever met it."""
        return self.status != 0 and "operation not permitted" in self.text.lower()


@dataclass(frozen=True)
class Shop:
    """The namespace."""

    cluster: Cluster
    namespace: str = "shop"

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """kubectl in the namespace."""
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, **options)

    def create(self, *pods: Mapping[str, Any]) -> None:
        """Make pods and wait until they are ready."""
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}))
        names = [each["metadata"]["name"] for each in pods]
        self.kubectl("wait", "--for=condition=Ready", "pod", *names, "--timeout=180s")

    def act(self, name: str, *command: str, container: str = "main") -> Done:
        """Run a command in a pod's container."""
        arguments = ("--namespace", self.namespace, "exec", name, "--container", container, "--", *command)
        result = self.cluster.tried("kubectl", *arguments)
        return Done(result.returncode, result.stdout + result.stderr)

    def apply(self, policy: Mapping[str, Any]) -> dict[str, Any]:
        """Make or change a policy; returns it as the API server has it."""
        written = {key: policy[key] for key in ("apiVersion", "kind", "spec")}
        written["metadata"] = {key: policy["metadata"][key] for key in ("name", "namespace")}
        told = self.kubectl("apply", "-f", "-", "-o", "json", stdin=json.dumps(written))
        made: dict[str, Any] = json.loads(told)
        return made

    def policy(self) -> dict[str, Any]:
        """The policy web as the API server has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "secpol", "web", "-o", "json"))
        return found

    def await_enforced(self, policy: Mapping[str, Any], selected: int = 1) -> None:
        """Wait until the node says that this generation of the policy is in force on so many containers."""
        wanted = {
            "name": policy["metadata"]["name"], "generation": policy["metadata"]["generation"],
            "selected": selected, "enforced": selected,
        }  # fmt: skip
        deadline = time.monotonic() + ENFORCED_S
        while True:
            state = json.loads(self.cluster.kubectl("get", "nodestate", self.cluster.node, "-o", "json"))
            rows = state["status"].get("policies", [])
            if any(wanted.items() <= row.items() for row in rows):
                return
            if time.monotonic() >= deadline:
                raise AssertionError(f"not in force after {ENFORCED_S:g} s: {wanted}; the node says {state['status']}")
            time.sleep(0.5)
