"""Events on objects: one for each thing that is to be said, and no failure of anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bulkhead.kube.events import event, post_event, shortened
from tests.unit.kube.api_server import answered, api_server, refused

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
POLICY = {
    "apiVersion": "bulkhead.dev/v1alpha1",
    "kind": "SecurityPolicy",
    "name": "web",
    "namespace": "shop",
    "uid": "u-1",
    "generation": 3,
    "resourceVersion": "77",
    "labels": {"of": "no account"},
}


def made(node: str = "node-1", reason: str = "Refused", **changed: Any) -> dict[str, Any]:
    """An event on the policy, changed."""
    return event(POLICY | changed, reason, "because", "Warning", ("bulkhead-agent", node), NOW)


def test_an_event_is_about_its_object() -> None:
    """In its namespace, regarding it by uid, from us on this node."""
    body = made()
    assert body["metadata"]["namespace"] == "shop"
    assert body["regarding"] == {key: POLICY[key] for key in body["regarding"]}
    assert set(body["regarding"]) == {"apiVersion", "kind", "name", "namespace", "uid", "resourceVersion"}
    assert (body["reportingController"], body["reportingInstance"]) == ("bulkhead-agent", "node-1")
    assert (body["eventTime"], body["note"], body["type"]) == ("2026-01-02T03:04:05.000000Z", "because", "Warning")


def test_events_on_objects_without_namespace_are_in_default() -> None:
    """Where the API server wants them."""
    body = event({**POLICY, "namespace": ""}, "Refused", "because", "Warning", ("c", ""), NOW)
    assert body["metadata"]["namespace"] == "default"
    assert "namespace" not in body["regarding"]


def test_an_event_has_one_name_for_each_thing_to_say() -> None:
    """Its name is that of the object's generation, the reason and the node, whatever the time and version."""
    name = made()["metadata"]["name"]
    assert name.startswith("web.")
    assert made(resourceVersion="78")["metadata"]["name"] == name
    others = [made(generation=4), made(uid="u-2"), made(reason="Other"), made(node="node-2")]
    assert len({name, *(each["metadata"]["name"] for each in others)}) == 5
    assert len(made(name="x" * 253)["metadata"]["name"]) <= 253


@pytest.mark.parametrize("message", ["a" * 1_024, "ü" * 700, "a" + "🦀" * 400, ""])
def test_messages_fit(message: str) -> None:
    """At most 1,024 bytes, cut between characters, and visibly."""
    short = shortened(message)
    assert len(short.encode()) <= 1_024
    assert short == message or (short.endswith("…") and message.startswith(short[:-1]))


def test_an_event_that_was_told_before_is_no_failure(tmp_path: Path) -> None:
    """The API server knows the name already; nothing is logged."""
    with api_server(tmp_path) as (server, api), capture_logs() as logs:
        server.script = [answered({}), refused(409, "already exists")]
        post_event(api, POLICY, "Refused", "because", node="node-1")
        post_event(api, POLICY, "Refused", "because", node="node-1")
    assert [each[:2] for each in server.requests] == [("POST", "/apis/events.k8s.io/v1/namespaces/shop/events")] * 2
    assert server.requests[0][3]["metadata"] == server.requests[1][3]["metadata"]
    assert logs == []


def test_a_failure_is_logged_and_nothing_more(tmp_path: Path) -> None:
    """With the object and the reason."""
    with api_server(tmp_path) as (server, api), capture_logs() as logs:
        server.script = [refused(403, "you?")]
        post_event(api, POLICY, "Refused", "because")
    assert [(each["event"], each["object"]) for each in logs] == [("event_not_posted", "SecurityPolicy web")]
    assert "403: you?" in logs[0]["reason"]
