"""`kubectl bulkhead` against a real API server, with a real kubectl in front of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulkhead.cli import main
from bulkhead.kube.client import MERGE_TYPE, Api
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.policy.model import API_VERSION
from tests.cluster.api_server.test_controller import BOOT, NODE, merge, node, tell
from tools.cluster import BIN
from tools.cluster.credentials import Credentials

__all__ = ["node"]  # a fixture
DENY_ID = {"exec": {"rules": [{"name": "id", "action": "Deny", "paths": ["/usr/bin/id"]}]}}


@pytest.fixture(scope="module")
def shop(api: Api, node: None) -> None:
    """A pod of namespace shop on a node, its policy, which is enforced there, and one of another namespace."""
    for name in ("shop", "bank"):
        api.post(collection_path("Namespace"), {"metadata": {"name": name}})
        api.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    made = [policy(api, "shop", {"team": "web"}), policy(api, "bank", {})]
    pod = {
        "metadata": {"name": "web-0", "labels": {"app": "web"}},
        "spec": {"nodeName": NODE, "containers": [{"name": "web", "image": "x"}]},
    }
    api.post(collection_path("Pod", "shop"), pod)
    running = {"name": "web", "containerID": f"containerd://{'a' * 64}", "state": {"running": {}}, "ready": True,
               "restartCount": 0, "image": "x", "imageID": ""}  # fmt: skip
    path = f"{object_path('Pod', 'shop', 'web-0')}/status"
    merge(api, path, {"status": {"containerStatuses": [running], "phase": "Running"}})
    tell(api, *made)
    ready = {"type": "Ready", "status": "True", "reason": "Enforcing", "message": "all", "lastTransitionTime": None}
    ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
    api.patch(f"{object_path('NodeState', '', NODE)}/status", {"status": {"conditions": [ready]}}, MERGE_TYPE)


def policy(api: Api, namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    """One without id."""
    body = {"apiVersion": API_VERSION, "kind": "SecurityPolicy", "spec": DENY_ID}
    return api.post(
        collection_path("SecurityPolicy", namespace), {**body, "metadata": {"name": "no-id", "labels": labels}}
    )


@pytest.fixture
def shops(kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig whose current context has namespace shop, and another without."""
    content = yaml.safe_load(kubeconfig.read_text())
    context = content["contexts"][0]
    content["contexts"].append({"name": "plain", "context": dict(context["context"])})
    context["context"]["namespace"] = "shop"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit status and output."""
    status = main(words)
    return status, capsys.readouterr().out


@pytest.mark.usefixtures("shop", "shops")
def test_status_is_of_the_contexts_namespace(capsys: pytest.CaptureFixture[str]) -> None:
    """Another context has another one; -A has all; a name alone is looked for there."""
    for words, found in (
        ((), ["shop/no-id"]),
        (("-n", "bank"), ["bank/no-id"]),
        (("-A",), ["shop/no-id", "bank/no-id"]),
        (("no-id",), ["shop/no-id"]),
        (("no-id", "-A"), ["shop/no-id", "bank/no-id"]),
        (("--context", "plain"), ["-"]),
    ):
        status, text = run(capsys, "status", *words)
        assert (status, [line.split()[2] for line in text.splitlines()[1:]]) == (0, found)
    assert main(["status", "gone"]) == 2
    assert "no policy gone in namespace shop" in capsys.readouterr().err


@pytest.mark.usefixtures("shop", "shops")
def test_pods_by_name_and_by_labels(capsys: pytest.CaptureFixture[str]) -> None:
    """The API server compares the labels."""
    for words in (("--pod", "web-0"), ("--pod", "shop/web-0", "-A"), ("-l", "app in (web)"), ("-l", "app", "-A")):
        status, text = run(capsys, "status", *words, "-o", "json")
        items = json.loads(text)["items"]
        assert (status, [(each["pod"], each["enforced"]) for each in items]) == (0, [("web-0", "yes")])
    assert run(capsys, "status", "-l", "app=db")[0] == 1
    assert main(["status", "--pod", "gone"]) == 2
    assert 'pods "gone" not found' in capsys.readouterr().err


@pytest.mark.usefixtures("shop", "shops")
def test_policies_of_the_cluster_are_validated_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """By labels, namespace and pod."""
    status, text = run(capsys, "policy", "validate", "-A")
    assert (status, text.count(": ok ")) == (0, 2)
    assert run(capsys, "policy", "validate", "-A", "-l", "team=web")[1].count(": ok ") == 1
    status, text = run(capsys, "policy", "explain", "--pod", "web-0", "--path", "/usr/bin/id", "--operation", "Exec")
    assert (status, text.splitlines()[0].startswith("Exec /usr/bin/id: DENY")) == (0, True)


@pytest.mark.usefixtures("shop", "shops")
def test_the_doctor_says_what_can_be_told_from_afar(capsys: pytest.CaptureFixture[str]) -> None:
    """There is no kubelet here: its Node is not Ready, and nobody forwards a port."""
    status, text = run(capsys, "doctor", NODE, "-o", "json")
    found = {each["name"]: each["ok"] for each in json.loads(text)["items"][0]["found"]}
    assert status == 1
    assert BOOT not in text
    assert (found["node"], found["NodeState"], found["policies"]) == (False, True, True)
    assert main(["doctor", "gone"]) == 2


@pytest.mark.usefixtures("shop")
def test_whoever_may_not_is_told_so(
    identities: Credentials, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With whom to ask; exit status 3."""
    monkeypatch.setenv("KUBECONFIG", str(identities.kubeconfig("dns")))
    for words in (("status", "-A"), ("policy", "validate", "-A"), ("doctor", NODE)):
        assert main(words) == 3
        assert "ask whoever administers the cluster for a role with that right" in capsys.readouterr().err


@pytest.mark.usefixtures("shop")
def test_kubectl_completes_its_plugin(shops: Path, tmp_path: Path) -> None:
    """Commands, options, and names of what the cluster has."""
    for name in ("kubectl-bulkhead", "kubectl_complete-bulkhead"):
        module = "bulkhead.cli.complete" if "complete" in name else "bulkhead.cli"
        program = tmp_path / name
        program.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "KUBECONFIG": str(shops), "PYTHONPATH": "agent"}

    def kubectl(*words: str) -> list[str]:
        done = subprocess.run([BIN / "kubectl", *words], env=environment, capture_output=True, text=True, check=True)
        return [line.partition("\t")[0] for line in done.stdout.splitlines()]

    assert kubectl("__complete", "bulkhead", "st") == ["status", ":4"]
    assert kubectl("__complete", "bulkhead", "status", "--pod", "") == ["web-0", ":4"]
    assert kubectl("__complete", "bulkhead", "status", "-n", "ba") == ["bank", ":4"]
    assert kubectl("__complete", "bulkhead", "status", "--context", "pl") == ["plain", ":4"]
    assert kubectl("bulkhead", "status", "-o", "name") == [f"nodestate.bulkhead.dev/{NODE}"]
