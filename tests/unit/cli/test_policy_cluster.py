"""`bulkhead policy validate` and `explain` of what a cluster has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkhead.cli import main
from tests.unit.agent.cluster.objects import broken, cluster_policy, pod, policy
from tests.unit.kube.api_server import Server, answered, api_server, refused


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An API server that the surroundings' kubeconfig names."""
    with api_server(tmp_path) as (server, _):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield server


def listed(*items: dict[str, Any]) -> Any:
    """An answer."""
    return answered({"items": list(items)})


def test_what_a_cluster_has_is_validated(cluster: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a namespace and of the cluster, by labels; what an older API server let in is said."""
    cluster.script = [listed(policy()), listed(cluster_policy())]
    assert main(["policy", "validate", "-n", "shop", "-l", "team=web"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "SecurityPolicy shop/no-id: ok SecurityPolicy shop/no-id",
        "ClusterSecurityPolicy front: ok ClusterSecurityPolicy front",
    ]
    assert [(path.rpartition("/v1alpha1/")[2], query) for _, path, query, _ in cluster.requests] == [
        ("namespaces/shop/securitypolicies", {"labelSelector": "team=web"}),
        ("clustersecuritypolicies", {"labelSelector": "team=web"}),
    ]
    cluster.script = [listed(policy(), broken()), listed()]
    assert main(["policy", "validate", "-A", "-o", "json"]) == 2
    assert [each.get("ok", False) for each in map(json.loads, capsys.readouterr().out.splitlines())] == [True, False]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "write FILE…, or -n NAMESPACE or -A"),
        (["a.yaml", "-A"], "two places for policies"),
        (["-A", "--context", "gone"], "there is no context 'gone': name another one with --context (here, nowhere)"),
        (["-A", "--user", "gone"], "there is no user 'gone': name another one with --user (me)"),
    ],
)
def test_wrong_use_names_the_remedy(
    words: list[str], told: str, cluster: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is asked then."""
    assert main(["policy", "validate", *words]) == 2
    assert told in capsys.readouterr().err
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("status", "text", "exit_status", "told"),
    [
        (403, "user me cannot list", 3, "role with that right"),
        (401, "Unauthorized", 3, "log in anew"),
        (404, "404 page not found", 2, "Bulkhead is not installed in this cluster"),
    ],
)
def test_refusals_name_the_remedy(
    *, status: int, text: str, exit_status: int, told: str, cluster: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    """After what was refused."""
    cluster.script = [refused(status, text)]
    assert main(["policy", "validate", "-A"]) == exit_status
    said = capsys.readouterr().err
    assert (text in said, told in said) == (True, True)


def test_no_server_names_the_remedy(cluster: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """`nowhere` has none; a cluster that is chosen goes before the context's."""
    assert main(["policy", "validate", "-A", "--cluster", "nowhere"]) == 3
    said = capsys.readouterr().err
    assert ("http://127.0.0.1:1" in said, "--context chooses" in said) == (True, True)


def test_what_holds_for_a_pod_is_explained(cluster: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a container that is named where there are several; only what selects it counts."""
    value = {**pod(containers={"web": "a" * 64, "side": "b" * 64}), "spec": {"nodeName": ""}}
    asked = [answered(value), answered({"metadata": {}}), listed(policy(containers=["web"])), listed()]
    cluster.script = [*asked]
    words = ["policy", "explain", "-n", "shop", "--pod", "web-0"]
    assert main([*words, "-c", "web", "--path", "/usr/bin/id", "--operation", "Exec"]) == 0
    shown = capsys.readouterr().out
    assert "Exec /usr/bin/id: DENY" in shown
    assert "SecurityPolicy shop/no-id: shop/no-id/exec/id" in shown
    cluster.script = [*asked]
    assert main(words) == 2
    assert "-c names one that runs: web, side" in capsys.readouterr().err
    cluster.script = [*asked]
    assert main([*words, "-c", "side"]) == 2
    assert "no policy selects container side" in capsys.readouterr().err
