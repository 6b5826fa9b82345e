"""What is written to the API server, and when not: against an API that keeps what it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from bulkhead.agent.cluster import telling
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import KINDS, ClusterState
from bulkhead.agent.cluster.statement import NodeFacts
from bulkhead.agent.cluster.strict import Standing
from bulkhead.agent.cluster.telling import Teller
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.errors import KernelUnable, Unreachable
from bulkhead.kube.client import Api
from bulkhead.node.kubepods import ContainerCgroups
from tests.unit.agent.cluster.objects import broken, policy

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


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (None, []),
        (
            Standing("T", "", 600.0),
            [("True", "Asked", f"{telling.REFUSED}, until no agent has given a sign for 600 s")],
        ),
        (Standing("T"), [("True", "Asked", telling.REFUSED)]),
        (Standing("T", "why"), [("True", "NoSign", f"{telling.REFUSED}; none is given: why")]),
        (Standing("", "why", 600.0), [("False", "NotAsked", "why")]),
    ],
)
def test_whether_starts_are_strict_is_told(
    api: RecordingApi,
    state: ClusterState,
    parts: tuple[ClusterSource, Sync],
    standing: Standing | None,
    said: list[tuple[str, str, str]],
) -> None:
    """Only where a namespace asks, and since when the kernel has done so, whichever agent told it."""
    Teller(cast(Api, api), NodeFacts("vm0", "6.12", "boot"), state, lambda: standing).tell(*parts)
    _, *found = api.sent[-1][1]["status"]["conditions"]
    assert [(each["status"], each["reason"], each["message"]) for each in found] == said
    assert all(each["lastTransitionTime"] == "T" for each in found if each["status"] == "True")


def test_policies_are_not_written_to(
    api: RecordingApi, teller: Teller, state: ClusterState, parts: tuple[ClusterSource, Sync]
) -> None:
    """A refusal is in the NodeState, with the field and what stays in force; the controller tells it on the policy."""
    state.change("SecurityPolicy", "ADDED", policy())
    state.change("SecurityPolicy", "MODIFIED", broken())
    teller.tell(*parts)
    assert {path for path, _ in api.sent} == {NODE, f"{NODE}/status"}
    (failure,) = api.sent[-1][1]["status"]["failures"]
    assert "spec.exec.rules[0].paths[0]" in failure["reason"]
    assert "Generation 1 stays enforced" in failure["reason"]


def test_what_was_heard_is_told_a_little_later(
    api: RecordingApi, state: ClusterState, parts: tuple[ClusterSource, Sync], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a policy that selects nothing here: not by every node at once; a status of a policy is nothing to be heard."""
    now = [0.0]
    monkeypatch.setattr(telling.time, "monotonic", lambda: now[0])
    teller = Teller(cast(Api, api), NodeFacts("vm0", "6.12", "boot"), state, chance=lambda: 0.5)
    parts[1].step()
    teller.tell(*parts)
    state.change("SecurityPolicy", "ADDED", policy())
    parts[1].step()
    teller.tell(*parts)
    before = len(api.sent)
    now[0] = telling.SEEN_S
    teller.tell(*parts)
    assert len(api.sent) == before + 1
    first, last = (body["status"]["seen"] for _, body in (api.sent[1], api.sent[-1]))
    assert [each["kind"] for each in last] == ["ClusterSecurityPolicy", "SecurityPolicy"]
    assert first[0] == last[0]
    assert first[1] != last[1]
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": {"nodes": {"desired": 1, "enforced": 1}}})
    parts[1].step()
    now[0] = 3 * telling.SEEN_S
    teller.tell(*parts)
    assert len(api.sent) == before + 1


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
