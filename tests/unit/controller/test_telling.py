"""What the controller writes, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from bulkhead.certificates.names import Names
from bulkhead.certificates.pair import Facts
from bulkhead.controller.certificates import CertificateSettings
from bulkhead.controller.main import Controller, ControllerSettings
from bulkhead.controller.state import KINDS, ControllerState
from bulkhead.controller.telling import Teller
from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api, Requests
from bulkhead.kube.errors import NotFound
from bulkhead.kube.lease import LeaseName
from bulkhead.monitoring.catalog import PROGRAMS
from bulkhead.monitoring.checks import Heartbeat
from bulkhead.monitoring.exposition import Exposition
from tests.unit.agent.cluster.objects import broken, policy
from tests.unit.controller.objects import cluster, node_state, row
from tests.unit.monitoring.asking import families

STATUS = "/apis/bulkhead.dev/v1alpha1/namespaces/shop/securitypolicies/no-id/status"


class RecordingApi:
    """Keeps requests; `failure` is raised by each."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.failure: Unreachable | None = None
        self.requests = Requests()

    def patch(self, path: str, body: Any, content_type: str, query: Mapping[str, str]) -> dict[str, Any]:
        """As `Api`."""
        assert query["fieldManager"] == "bulkhead-controller"
        if self.failure:
            raise self.failure
        self.sent.append((path, body))
        return {}

    def post(self, path: str, body: Any) -> dict[str, Any]:
        """As `Api`."""
        self.sent.append((path, body))
        return {}


@pytest.fixture
def api() -> RecordingApi:
    """Empty."""
    return RecordingApi()


def teller(api: RecordingApi, state: ControllerState) -> Teller:
    """Of a state."""
    return Teller(cast(Api, api), state, Heartbeat(1.0))


def test_a_status_is_written_once(api: RecordingApi) -> None:
    """And not again when the object comes back with it."""
    state = cluster(policy())
    state.change("NodeState", "ADDED", node_state("a", row(), heard=(("p-1", 1),)))
    telling = teller(api, state)
    assert telling.tell() == 0
    ((path, body),) = api.sent
    assert path == STATUS
    assert body["status"]["nodes"] == {"desired": 1, "enforced": 1}
    state.change("SecurityPolicy", "MODIFIED", policy() | {"status": body["status"]})
    assert telling.tell() == 0
    assert len(api.sent) == 1


def test_a_refusal_is_an_event_once(api: RecordingApi) -> None:
    """With the field; a node that changes is no new refusal."""
    state = cluster(broken())
    telling = teller(api, state)
    telling.tell()
    events = [body for path, body in api.sent if "/events" in path]
    assert len(events) == 1
    assert "spec.exec.rules[0].paths[0]" in events[0]["note"]
    told = dict(api.sent)[STATUS]["status"]
    state.change("SecurityPolicy", "MODIFIED", broken() | {"status": told})
    state.change("NodeState", "ADDED", node_state("a", row(generation=1)))
    telling.tell()
    assert len([path for path, _ in api.sent if "/events" in path]) == 1
    assert len([path for path, _ in api.sent if path == STATUS]) == 2


def test_what_could_not_be_written_is_written_later(api: RecordingApi) -> None:
    """An API server that is away costs news."""
    telling = teller(api, cluster(policy()))
    api.failure = Unreachable("away")
    assert telling.tell() == 1
    api.failure = None
    assert telling.tell() == 0
    assert [path for path, _ in api.sent] == [STATUS]
    assert (telling.writes, telling.failures) == (1, 1)


def test_a_policy_that_went_meanwhile_holds_nothing_up(api: RecordingApi) -> None:
    """Its status cannot be written, and need not be."""
    telling = teller(api, cluster(policy()))
    api.failure = NotFound("gone", 404)
    assert telling.tell() == 0


def test_metrics_are_those_of_the_catalog(api: RecordingApi) -> None:
    """All of them and no others; who waits to lead is ready, who leads only when it has heard everything."""
    certificates = CertificateSettings(Names("ns", "bulkhead"))
    controller = Controller(
        cast(Api, api), ControllerSettings(LeaseName("ns", "lease", "me"), certificates=certificates)
    )
    assert controller._issuing is not None
    controller._issuing._keeper._facts["client"] = Facts(datetime.now(UTC), datetime.now(UTC), frozenset())
    api.requests.count("GET", 200)
    for kind in KINDS:
        controller._watches[kind].counters.last_contact = 1.0
        controller._watches[kind].counters.errors["Expired"] += 1
    exposition = Exposition("controller")
    exposition.add(controller.samples)
    exposition.add_checks(controller.health().ready)
    assert families(exposition.text()[0].decode()) == {metric.name for metric in PROGRAMS["controller"]}
    (check,) = controller.health().ready
    assert check.ask() == ""
    controller._lease.leading.set()
    assert "NodeState" in check.ask()
