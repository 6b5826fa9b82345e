"""One leads at a time, whatever clocks say; who cannot renew stops before another begins."""

from __future__ import annotations

import copy
import threading
from typing import Any, cast

import pytest

from bulkhead.errors import Unreachable
from bulkhead.kube import lease
from bulkhead.kube.client import Api
from bulkhead.kube.errors import Conflict, NotFound
from bulkhead.kube.lease import DURATION_S, RENEW_WITHIN_S, Lease, LeaseName


class OneObject:
    """An API server with one object, and versions that it compares."""

    def __init__(self) -> None:
        self.value: dict[str, Any] | None = None
        self.version = 0
        self.away = False

    def get(self, path: str, timeout_s: float) -> dict[str, Any]:
        """As `Api`."""
        self._answer()
        if self.value is None:
            raise NotFound("no lease", 404)
        return copy.deepcopy(self.value)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `Api`."""
        self._answer()
        if self.value is not None:
            raise Conflict("there is one", 409)
        return self._store(body)

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As `Api`."""
        self._answer()
        if body["metadata"]["resourceVersion"] != str(self.version):
            raise Conflict("another version", 409)
        return self._store(body)

    def _store(self, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        self.value = copy.deepcopy(body)
        self.value["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.value)

    def _answer(self) -> None:
        if self.away:
            raise Unreachable("away")


class Steps(threading.Event):
    """A stop that is waited for without waiting: each wait is a step of the clock, and runs what the test says."""

    def __init__(self, now: list[float], *acts: Any) -> None:
        super().__init__()
        self._now, self._acts = now, list(acts)

    def wait(self, timeout: float | None = None) -> bool:
        """A step."""
        self._now[0] += timeout or 0.0
        if self._acts:
            self._acts.pop(0)()
        else:
            self.set()
        return self.is_set()


@pytest.fixture
def api() -> OneObject:
    """Nothing in it."""
    return OneObject()


@pytest.fixture
def now() -> list[float]:
    """Everybody's clock."""
    return [1_000.0]


def one(api: OneObject, holder: str, now: list[float]) -> Lease:
    """A replica."""
    return Lease(cast(Api, api), LeaseName("ns", "lease", holder), lambda: now[0])


def nothing() -> None:
    """A step in which nothing happens."""


def test_the_first_leads_and_the_second_waits(api: OneObject, now: list[float]) -> None:
    """As long as the first renews, however long that is."""
    first, second = one(api, "first", now), one(api, "second", now)
    assert first.campaign(Steps(now))

    def renewed() -> None:
        assert first._attempt()

    assert not second.campaign(Steps(now, *[renewed] * 20))
    assert not second.leading.is_set()


def test_who_renews_no_more_is_followed(api: OneObject, now: list[float]) -> None:
    """After the duration, by the follower's own clock; the old one does not get it back."""
    first, second = one(api, "first", now), one(api, "second", now)
    assert first.campaign(Steps(now))
    began_s = now[0]
    assert second.campaign(Steps(now, *[nothing] * 20))
    assert DURATION_S <= now[0] - began_s <= DURATION_S + 2 * lease.LOOK_S
    with pytest.raises(Unreachable, match="could not be held"):
        first.keep(Steps(now, nothing))
    assert not first.leading.is_set()


def test_a_leader_without_an_api_server_stops_before_another_begins(api: OneObject, now: list[float]) -> None:
    """It goes on over a short silence, and ends after a long one."""
    leader = one(api, "first", now)
    assert leader.campaign(Steps(now))
    began_s = now[0]
    with pytest.raises(Unreachable):
        leader.keep(Steps(now, lambda: setattr(api, "away", True), *[nothing] * 20))
    assert RENEW_WITHIN_S <= now[0] - began_s < DURATION_S

    api.away = False
    again = one(api, "first", now)
    assert again.campaign(Steps(now))
    acts = (lambda: setattr(api, "away", True), nothing, lambda: setattr(api, "away", False), nothing, nothing)
    again.keep(Steps(now, *acts))


def test_who_ends_gives_it_up_at_once(api: OneObject, now: list[float]) -> None:
    """The next one need not wait for the duration; transitions are counted."""
    first, second = one(api, "first", now), one(api, "second", now)
    assert first.campaign(Steps(now))
    first.keep(Steps(now))
    assert second.campaign(Steps(now))
    assert api.value is not None
    assert api.value["spec"]["holderIdentity"] == "second"
    assert api.value["spec"]["leaseTransitions"] == 3


def test_two_that_take_it_at_once_do_not_both_lead(api: OneObject, now: list[float]) -> None:
    """The API server lets one of them through."""
    one(api, "old", now).campaign(Steps(now))
    first, second = one(api, "first", now), one(api, "second", now)
    for each in (first, second):
        each._look()
    now[0] += DURATION_S
    for each in (first, second):
        each._look()
    assert [each._write(each._lease.holder, DURATION_S) for each in (first, second)] == [True, False]
