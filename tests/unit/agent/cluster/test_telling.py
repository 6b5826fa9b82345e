"""What is written to the API server, and when not: against an API that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import KINDS, ClusterState
from bulkhead.agent.cluster.statement import NodeFacts
from bulkhead.agent.cluster.telling import Teller
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.errors import KernelUnable, Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.node.kubepods import ContainerCgroups
from tests.unit.agent.cluster.objects import broken, policy

POLICY = "/apis/bulkhead.dev/v1alpha1/namespaces/shop/securitypolicies/no-id/status"
NODE = "/apis/bulkhead.dev/v1alpha1/nodestates/vm0"


class RecordingApi:
    """Keeps requests; `failure` is raised by each."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.failure: Unreachable | None = None

    def patch(self, path: str, body: Any, content_type: str, query: Mapping[str, str]) -> dict[str, Any]:
        """As `kube.client.Api`."""
        assert (content_type, query["force"]) == ("application/apply-patch+yaml", "true")
        if self.failure:
            raise self.failure
        self.sent.append((path, body))
        return {}

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """As `kube.client.Api`."""
        self.sent.append((path, body))
        return {}


class NoContainers:
    """An enforcer of nothing."""

    def containers(self) -> tuple[()]:
        """None."""
        return ()


@pytest.fixture
def api() -> RecordingApi:
    """Empty."""
    return RecordingApi()


@pytest.fixture
def state(tmp_path: Path) -> ClusterState:
    """Nothing in it, but all of it known."""
    made = ClusterState(tmp_path / "accepted")
    for kind in KINDS:
        made.replace(kind, [])
    return made


@pytest.fixture
def teller(api: RecordingApi, state: ClusterState) -> Teller:
    """Of node vm0."""
    return Teller(cast(Api, api), NodeFacts("vm0", "6.12", "boot"), state)


@pytest.fixture
def parts(state: ClusterState, tmp_path: Path) -> tuple[ClusterSource, Sync]:
    """What is asked about."""
    source = ClusterSource(state, ContainerCgroups(tmp_path))
    return source, Sync(cast(Enforcer, NoContainers()), source)


def ready(body: Any) -> tuple[str, str]:
    """The node's condition."""
    (condition,) = body["status"]["conditions"]
    return condition["status"], condition["reason"]


def test_the_node_is_told_when_it_changes(api: RecordingApi, teller: Teller, parts: tuple[ClusterSource, Sync]) -> None:
    """The object first, then its status: not ready, ready, and no third time."""
    teller.tell(*parts)
    parts[1].step()
    teller.tell(*parts)
    teller.tell(*parts)
    assert [path for path, _ in api.sent] == [NODE, f"{NODE}/status", f"{NODE}/status"]
    assert [ready(body) for _, body in api.sent[1:]] == [("False", "Starting"), ("True", "Enforcing")]


def test_a_refusal_is_told_on_the_policy_and_as_an_event(
    api: RecordingApi, teller: Teller, state: ClusterState, parts: tuple[ClusterSource, Sync]
) -> None:
    """With the field and the remedy."""
    state.change("SecurityPolicy", "ADDED", policy())
    state.change("SecurityPolicy", "MODIFIED", broken())
    teller.tell(*parts)
    told = dict(api.sent)
    (condition,) = told[POLICY]["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "Refused")
    assert "spec.exec.rules[0].paths[0]" in condition["message"]
    (event,) = [body for path, body in api.sent if "/events" in path]
    assert "Generation 1 stays enforced" in str(event)


def test_a_policy_that_went_meanwhile_holds_nothing_up(
    api: RecordingApi, teller: Teller, state: ClusterState, parts: tuple[ClusterSource, Sync]
) -> None:
    """Its status cannot be written, and need not be."""
    teller.tell(*parts)
    state.change("SecurityPolicy", "ADDED", policy())
    api.failure = NotFound("gone", 404)
    before = list(api.sent)
    teller.tell(*parts)
    assert api.sent == before


def test_what_was_not_written_is_written_later(
    api: RecordingApi, teller: Teller, parts: tuple[ClusterSource, Sync]
) -> None:
    """An API server that is away costs news, not the node's state."""
    api.failure = Unreachable("away")
    with pytest.raises(Unreachable):
        teller.tell(*parts)
    api.failure = None
    teller.tell(*parts)
    assert ready(api.sent[-1][1]) == ("False", "Starting")


def test_a_node_that_cannot_enforce_says_so(api: RecordingApi, teller: Teller) -> None:
    """Also where nothing can be told: the error is what ends the agent, not this."""
    teller.tell_unable(KernelUnable("no BPF LSM"))
    condition = api.sent[-1][1]["status"]["conditions"][0]
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "KernelUnable", "no BPF LSM")
    api.failure = Unreachable("away")
    teller.tell_unable(KernelUnable("another"))
