"""The controller keeps what the chart has made empty, and gives certificates to agents and to nobody else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bulkhead.certificates.authority import Authority, Terms
from bulkhead.certificates.names import node_uri
from bulkhead.certificates.pair import belong_together, facts, is_signed_by
from bulkhead.certificates.request import make_request
from bulkhead.controller.certificates import AUTHORITY_KEY, CertificateSettings, Keeper
from bulkhead.controller.issuing import Issuing
from bulkhead.errors import Damaged
from bulkhead.kube import signing
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import object_path
from bulkhead.kube.signing import EXTRA
from tests.unit.certificates.fake_api import NAMES, FakeApi

SETTINGS = CertificateSettings(NAMES)
BEGUN = datetime.now(UTC)
DAY = timedelta(days=1)


class Clock:
    """A moment that tests set."""

    def __init__(self) -> None:
        self.now = BEGUN

    def __call__(self) -> datetime:
        """The moment."""
        return self.now


@pytest.fixture
def fake() -> FakeApi:
    """What the chart has made."""
    return FakeApi()


@pytest.fixture
def clock() -> Clock:
    """From now on."""
    return Clock()


@pytest.fixture
def keeper(fake: FakeApi, clock: Clock) -> Keeper:
    """Of that API server."""
    return Keeper(fake.api, SETTINGS, clock)


def pair(fake: FakeApi, name: str) -> tuple[bytes, bytes, bytes]:
    """Certificate, key and authorities of a Secret."""
    data = fake.data("Secret", name)
    return (
        base64.b64decode(data["tls.crt"]),
        base64.b64decode(data["tls.key"]),
        base64.b64decode(data["ca.crt"]),
    )


def test_everything_is_made_once(fake: FakeApi, keeper: Keeper) -> None:
    """In an order in which nobody is shown what they cannot know; then nothing is written for two thirds of a week."""
    keeper.keep()
    order = [NAMES.authority_secret, NAMES.bundle_config, NAMES.collector_secret, NAMES.client_secret]
    assert fake.writes == order
    for name in (NAMES.collector_secret, NAMES.client_secret):
        certificate, key, authorities = pair(fake, name)
        assert belong_together(certificate, key)
        assert is_signed_by(certificate, authorities)
        assert authorities.decode() == fake.data("ConfigMap", NAMES.bundle_config)["ca.crt"]
    assert facts(pair(fake, NAMES.collector_secret)[0]).names == {*NAMES.collector_hosts, "127.0.0.1"}
    for _ in range(3):
        keeper.keep()
    assert fake.writes == order
    assert keeper.issued == {"authority": 1, "collector": 1, "client": 1}


def test_certificates_are_renewed_in_time(fake: FakeApi, keeper: Keeper, clock: Clock) -> None:
    """Collector's and subscribers', at two thirds of a week; the authority stays."""
    keeper.keep()
    before = {name: pair(fake, name) for name in (NAMES.collector_secret, NAMES.client_secret)}
    clock.now = BEGUN + 4 * DAY
    keeper.keep()
    assert {name: pair(fake, name) for name in before} == before
    clock.now = BEGUN + 5 * DAY
    keeper.keep()
    for name, (certificate, key, authorities) in before.items():
        new = pair(fake, name)
        assert (new[0] != certificate, new[1] != key, new[2] == authorities) == (True, True, True)
    assert keeper.issued["authority"] == 1


def test_an_authority_is_published_before_it_signs(fake: FakeApi, keeper: Keeper, clock: Clock) -> None:
    """And goes when what it signed has ended: a year in the life of an installation."""
    seen: list[tuple[int, bool]] = []
    first = keeper.keep()
    for day in range(0, 366, 1):
        clock.now = BEGUN + day * DAY
        signs = keeper.keep()
        certificate, _, authorities = pair(fake, NAMES.collector_secret)
        assert is_signed_by(certificate, authorities)
        seen.append((authorities.count(b"BEGIN CERTIFICATE"), same(signs, first)))
    assert seen[242] == (1, True)
    assert (2, True) in seen
    assert (2, False) in seen
    assert seen[-1] == (1, False)


def same(one: Authority, other: Authority) -> bool:
    """Whether it is the same authority."""
    return one.certificate == other.certificate


@pytest.mark.parametrize("edit", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_damaged_authority_is_told_and_not_replaced(fake: FakeApi, keeper: Keeper, edit: str) -> None:
    """Nothing is written; with its data put back, or removed, it goes on."""
    keeper.keep()
    path = object_path("Secret", NAMES.namespace, NAMES.authority_secret)
    good = fake.get(path)
    fake.store(path, {**fake.get(path), "data": {AUTHORITY_KEY: base64.b64encode(edit.encode()).decode()}})
    fake.writes.clear()
    with pytest.raises(Damaged, match=r"Secret bulkhead-system/bulkhead-authority is damaged: there is no cert.*Put"):
        keeper.keep()
    assert fake.writes == []
    fake.store(path, {**fake.get(path), "data": good["data"]})
    keeper.keep()
    assert fake.writes == []
    fake.store(path, {**fake.get(path), "data": {}})
    keeper.keep()
    assert sorted(fake.writes) == sorted(
        [NAMES.authority_secret, NAMES.bundle_config, NAMES.collector_secret, NAMES.client_secret]
    )


def test_a_damaged_certificate_is_replaced(fake: FakeApi, keeper: Keeper) -> None:
    """And so is one with another's key, or for other names: everybody knows the authority."""
    keeper.keep()
    path = object_path("Secret", NAMES.namespace, NAMES.collector_secret)
    other = fake.data("Secret", NAMES.client_secret)
    for key in ("tls.crt", "tls.key"):
        found = fake.get(path)
        fake.store(path, {**found, "data": {**found["data"], key: other[key]}})
        keeper.keep()
        certificate, own, _ = pair(fake, NAMES.collector_secret)
        assert belong_together(certificate, own)
        assert NAMES.collector in facts(certificate).names


def test_what_the_chart_has_not_made_is_not_made(fake: FakeApi, keeper: Keeper) -> None:
    """The controller has no right to."""
    del fake.objects[object_path("Secret", NAMES.namespace, NAMES.authority_secret)]
    with pytest.raises(NotFound):
        keeper.keep()
    assert fake.writes == []


def asked(fake: FakeApi, **changes: Any) -> signing.SigningRequest:
    """An agent's request, with changes to its spec, after it was answered."""
    request, _ = make_request("node-1")
    name = signing.ask(fake.api, NAMES.signer, "bulkhead-agent-", request)
    path = object_path(signing.KIND, "", name)
    found = fake.get(path)
    stored = fake.store(path, {**found, "spec": {**found["spec"], **changes}})
    issuing = Issuing(fake.api, SETTINGS)
    issuing._change("ADDED", stored)
    issuing.answer(issuing._keeper.keep())
    return signing.look(fake.api, name)


def test_an_agent_gets_a_certificate_of_its_node(fake: FakeApi) -> None:
    """By the node that the API server knows, whatever it asks for; for a day."""
    found = asked(fake)
    told = facts(found.certificate)
    assert told.names == {node_uri("node-1")}
    assert told.ends - told.begins == timedelta(days=1, minutes=5)
    assert found.approved
    assert found.denial == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"username": "system:serviceaccount:shop:default"}, "system:serviceaccount:shop:default asks; "),
        ({"username": "system:serviceaccount:bulkhead-system:bulkhead-collector"}, "nobody else"),
        ({"extra": {}}, "bound to no node"),
        ({"extra": {EXTRA + "node-name": ["node-1", "node-2"]}}, "bound to no node"),
        ({"extra": {EXTRA + "pod-name": ["gone"], EXTRA + "pod-uid": ["u"]}}, "bound to no node"),
        ({"usages": ["server auth"]}, "used for server auth"),
        ({"request": "bm9uc2Vuc2U="}, "no certificate request"),
        ({"request": "%"}, "no certificate request"),
    ],
)
def test_nobody_else_gets_one(fake: FakeApi, changes: dict[str, Any], reason: str) -> None:
    """And is told why."""
    found = asked(fake, **changes)
    assert found.certificate == b""
    assert reason in found.denial
    assert found.denial.endswith("no certificate was issued")


@pytest.mark.parametrize(("uid", "is_given"), [("u-1", True), ("another", False)])
def test_before_the_api_server_knew_nodes_the_pod_says_it(fake: FakeApi, uid: str, is_given: bool) -> None:
    """If it is the very pod that the token was given to."""
    pod = {"metadata": {"name": "agent-x", "uid": "u-1"}, "spec": {"nodeName": "node-7"}}
    fake.store(object_path("Pod", NAMES.namespace, "agent-x"), pod)
    found = asked(fake, extra={EXTRA + "pod-name": ["agent-x"], EXTRA + "pod-uid": [uid]})
    assert bool(found.certificate) is is_given
    if is_given:
        assert facts(found.certificate).names == {node_uri("node-7")}


def test_what_is_answered_is_not_answered_again(fake: FakeApi) -> None:
    """Neither what somebody denied; and an approval of somebody's does not make an agent of whoever asked."""
    answered = asked(fake)
    issuing = Issuing(fake.api, SETTINGS)
    path = object_path(signing.KIND, "", answered.name)
    issuing._replace([fake.get(path)])
    assert issuing._open == {}
    approved = {"conditions": [{"type": "Approved", "status": "True"}]}
    found = fake.get(path)
    stranger = fake.store(path, {**found, "spec": {**found["spec"], "username": "mallory"}, "status": approved})
    issuing._change("MODIFIED", stranger)
    issuing.answer(issuing._keeper.keep())
    assert signing.look(fake.api, answered.name).certificate == b""


def test_a_request_that_cannot_be_answered_keeps_no_other_waiting(fake: FakeApi) -> None:
    """Whatever the API server has against it."""
    request, _ = make_request("node-1")
    names = [signing.ask(fake.api, NAMES.signer, "bulkhead-agent-", request) for _ in range(2)]
    issuing = Issuing(fake.api, SETTINGS)
    authority = issuing._keeper.keep()
    issuing._replace(fake.requests())
    fake.refused = names[0]
    issuing.answer(authority)
    assert [bool(signing.look(fake.api, name).certificate) for name in names] == [False, True]
    fake.refused = ""
    issuing.answer(authority)
    assert signing.look(fake.api, names[0]).certificate


def test_terms_follow_the_agents() -> None:
    """A longer life of certificates makes an authority wait longer before it signs."""
    assert Terms(agent=timedelta(hours=1)).learning == timedelta(hours=2)
    assert Terms(agent=timedelta(days=30)).outlived > timedelta(days=90)
