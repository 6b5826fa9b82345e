"""The agent's certificate: got, kept, renewed; whatever is wrong, violations wait and it is asked again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bulkhead.agent.cluster import certificate as module
from bulkhead.agent.cluster.certificate import AgentCertificate
from bulkhead.certificates.names import node_uri
from bulkhead.certificates.pair import belong_together, facts, is_signed_by
from bulkhead.controller.certificates import AUTHORITY_KEY, CertificateSettings
from bulkhead.controller.issuing import Issuing
from bulkhead.errors import Unreachable
from bulkhead.kube import signing
from bulkhead.kube.errors import no_answer
from bulkhead.kube.objects import object_path
from tests.unit.certificates.fake_api import NAMES, FakeApi

HOUR = timedelta(hours=1)
SECRET = object_path("Secret", NAMES.namespace, NAMES.authority_secret)


class Bench:
    """An agent and a controller at one API server; the agent's clock is ours."""

    def __init__(self, folder: Path) -> None:
        self.fake, self.folder = FakeApi(), folder
        self.now = datetime.now(UTC)
        self.issuing = Issuing(self.fake.api, CertificateSettings(NAMES))
        self.is_there = True
        self.agent = self.another()

    def another(self) -> AgentCertificate:
        """The next agent on this node."""
        made = AgentCertificate(self.fake.api, NAMES, "node-1", self.folder / "certificate.json", lambda: self.now)
        made._stopping.wait = self.pause  # type: ignore[method-assign,assignment]
        return made

    def pause(self, _: float | None = None) -> bool:
        """What happens while the agent waits: the controller answers, where there is one."""
        if self.is_there:
            self.issuing._replace(self.fake.requests())
            self.issuing.answer(self.issuing._keeper.keep())
        return False


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """With authorities that are published."""
    monkeypatch.setattr(module, "FIRST_S", 0.0)
    monkeypatch.setattr(module, "ANSWERED_S", 3.0)
    made = Bench(tmp_path)
    made.issuing._keeper.keep()
    return made


def test_a_certificate_is_got_and_shown(bench: Bench) -> None:
    """Of this node, with its key, and with whom to believe; not asked for again before it is due."""
    with pytest.raises(Unreachable, match=r"no certificate for this node yet.*stays in the spool"):
        bench.agent.read()
    pause_s = bench.agent.look()
    assert pause_s == module.LONGEST_S
    shown = bench.agent.read()
    assert shown.certificate is not None
    assert shown.key is not None
    assert shown.authority is not None
    assert facts(shown.certificate).names == {node_uri("node-1")}
    assert belong_together(shown.certificate, shown.key)
    assert is_signed_by(shown.certificate, shown.authority)
    bench.agent.look()
    assert len(bench.fake.requests()) == 1


def test_it_is_renewed_about_two_thirds_through(bench: Bench) -> None:
    """With another key; nobody who reads it is ever without one."""
    bench.agent.look()
    first = bench.agent.read()
    bench.now += 14 * HOUR
    bench.agent.look()
    assert bench.agent.read() == first
    bench.now += 3 * HOUR
    bench.agent.look()
    second = bench.agent.read()
    assert second.certificate != first.certificate
    assert second.key != first.key


def test_without_a_controller_the_old_one_holds_until_it_ends(bench: Bench) -> None:
    """One request waits for its answer, however often the agent looks."""
    bench.agent.look()
    bench.is_there = False
    bench.now += 20 * HOUR
    for _ in range(4):
        bench.agent.look()
    assert bench.agent.read().certificate
    assert len(bench.fake.requests()) == 2
    bench.now += 5 * HOUR
    with pytest.raises(Unreachable, match=r"ended at .*no controller has answered CertificateSigningRequest bulkhead-"):
        bench.agent.read()
    bench.is_there = True
    bench.now = datetime.now(UTC)
    bench.agent.look()
    assert bench.agent.read().certificate


def test_the_next_agent_takes_it_up(bench: Bench) -> None:
    """Without asking anybody; the file is for root alone."""
    bench.agent.look()
    bench.fake.failure = no_answer("API server", "away")
    assert bench.another().read() == bench.agent.read()
    assert (bench.folder / "certificate.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"certificate": 1}', "null"])
def test_what_was_damaged_is_asked_for_anew(bench: Bench, damage: str) -> None:
    """And so is what is another node's, or another key's."""
    bench.agent.look()
    (bench.folder / "certificate.json").write_text(damage)
    other = bench.another()
    with pytest.raises(Unreachable):
        other.read()
    other.look()
    assert other.read().certificate


def test_a_node_that_was_renamed_asks_anew(bench: Bench) -> None:
    """The certificate of its old name is of no use."""
    bench.agent.look()
    kept = json.loads((bench.folder / "certificate.json").read_bytes())
    assert set(kept) == {"certificate", "key", "authorities"}
    renamed = AgentCertificate(bench.fake.api, NAMES, "node-2", bench.folder / "certificate.json", lambda: bench.now)
    with pytest.raises(Unreachable, match="was not asked for yet"):
        renamed.read()


def test_a_new_authority_is_learnt(bench: Bench) -> None:
    """One that was added is believed; where all are new, a certificate of theirs is asked for."""
    bench.agent.look()
    first = bench.agent.read()
    bench.fake.store(SECRET, {**bench.fake.get(SECRET), "data": {}})
    bench.issuing._keeper.keep()
    bench.agent.look()
    second = bench.agent.read()
    assert second.authority != first.authority
    assert second.authority is not None
    assert second.certificate is not None
    assert is_signed_by(second.certificate, second.authority)
    assert AUTHORITY_KEY in bench.fake.data("Secret", NAMES.authority_secret)


def test_an_authority_is_believed_before_it_signs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate stays."""
    bench.agent.look()
    first = bench.agent.read()
    monkeypatch.setattr(bench.issuing._keeper, "_clock", lambda: datetime.now(UTC) + timedelta(days=244))
    bench.issuing._keeper.keep()
    bench.agent.look()
    second = bench.agent.read()
    assert second.certificate == first.certificate
    assert first.authority is not None
    assert second.authority is not None
    assert second.authority.startswith(first.authority)
    assert len(second.authority) > len(first.authority)


def refused(bench: Bench) -> None:
    """Another account."""
    bench.fake.caller = "system:serviceaccount:shop:default"


def of_another_node(bench: Bench) -> None:
    """A pod of another node."""
    bench.fake.extra = {signing.EXTRA + "node-name": ["node-2"]}


def unpublished(bench: Bench) -> None:
    """The controller was not there yet."""
    path = object_path("ConfigMap", NAMES.namespace, NAMES.bundle_config)
    bench.fake.store(path, {**bench.fake.get(path), "data": {}})
    bench.is_there = False


def late(bench: Bench) -> None:
    """This node's clock is two days ahead."""
    bench.now += 48 * HOUR


def away(bench: Bench) -> None:
    """No API server."""
    bench.fake.failure = no_answer("API server https://x", "connection refused")
    bench.is_there = False


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (refused, "was refused: system:serviceaccount:shop:default asks"),
        (of_another_node, "a certificate was issued for .*node-2.* and not for node-1"),
        (unpublished, "ConfigMap bulkhead-collector-ca holds no authority yet"),
        (late, "the clock of this node says .* one of the clocks is wrong"),
        (away, "API server https://x: connection refused"),
    ],
)
def test_what_is_wrong_is_said(bench: Bench, wrong: Callable[[Bench], None], reason: str) -> None:
    """To whoever wants to connect, and as a number; nothing else stops."""
    wrong(bench)
    assert bench.agent.look() == 0.0
    with pytest.raises(Unreachable, match=rf"no certificate for this node yet: .*{reason}.*stays in the spool"):
        bench.agent.read()
    (failures, *others) = bench.agent.samples()
    assert failures.value == 1
    assert others == []


def test_a_request_that_is_gone_is_made_again(bench: Bench) -> None:
    """The API server forgets those that nobody answers."""
    bench.is_there = False
    bench.agent.look()
    (found,) = bench.fake.requests()
    del bench.fake.objects[object_path(signing.KIND, "", found["metadata"]["name"])]
    bench.is_there = True
    bench.agent.look()
    bench.agent.look()
    assert bench.agent.read().certificate
