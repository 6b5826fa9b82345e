"""What an agent asks the API server for: no more than what policies select by."""

from __future__ import annotations

import threading
from pathlib import Path

from bulkhead.agent.cluster.state import KINDS, ClusterState
from bulkhead.agent.cluster.watching import Watching
from tests.unit.kube.api_server import api_server, bookmark, watched

OURS = "/apis/bulkhead.dev/v1alpha1"
JOIN_S = 10.0


def test_of_pods_and_nodes_only_its_own_are_watched(tmp_path: Path) -> None:
    """One watch a kind, each with what it selects; all of them together make the state known."""
    state = ClusterState(tmp_path / "accepted")
    with api_server(tmp_path) as (server, api):
        server.script = [watched(bookmark(1, complete=True), then="hang")] * len(KINDS)
        watching = Watching(api, state, "vm0")
        threads = [threading.Thread(target=run) for run in watching.tasks().values()]
        for thread in threads:
            thread.start()
        while state.snapshot() is None:
            assert state.changed.wait(JOIN_S)
            state.changed.clear()
        watching.stop()
        for thread in threads:
            thread.join(JOIN_S)
    asked = {path: query.get("fieldSelector") for _, path, query, _ in server.requests}
    assert asked == {
        f"{OURS}/securitypolicies": None,
        f"{OURS}/clustersecuritypolicies": None,
        "/api/v1/namespaces": None,
        "/api/v1/pods": "spec.nodeName=vm0",
        "/api/v1/nodes": "metadata.name=vm0",
    }
