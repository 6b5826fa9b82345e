"""The reflector against a server that behaves in every way that servers do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bulkhead.kube import reflector as reflector_module
from bulkhead.kube.client import Api
from bulkhead.kube.reflector import Reflector, Tuning
from tests.unit.kube.api_server import (
    Answer,
    Server,
    added,
    answered,
    api_server,
    babble,
    bookmark,
    deleted,
    failing,
    listed,
    modified,
    refused,
    silent,
    thing,
    watched,
)

PATH = "/apis/example/v1/things"
JOIN_S = 10.0
PICTURE = (added("a", 1), added("b", 2), bookmark(5, complete=True))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, Api]]:
    """A server without a script."""
    with api_server(tmp_path) as pair:
        yield pair


class Watcher:
    """A reflector that writes down what it is told and how long it would have waited. Time passes as `ages` says."""

    def __init__(
        self, api: Api, pauses: int, on_pause: Callable[[int], None] = lambda _: None, watch_s: int = 300
    ) -> None:
        self.told: list[tuple[str, object]] = []
        self.pauses_s: list[float] = []
        self.now_s = 0.0
        self._left, self._on_pause = pauses, on_pause
        tuning = Tuning(watch_s=watch_s, page_objects=2, clock=self._clock, chance=lambda: 0.5, sleep=self._sleep)
        self.reflector = Reflector(api, PATH, self._replace, self._change, field_selector="spec.x=y", tuning=tuning)

    def run(self) -> Watcher:
        """Until it has paused as often as it may."""
        self.reflector.run()
        return self

    def _clock(self) -> float:
        return self.now_s

    def _sleep(self, pause_s: float) -> None:
        self.pauses_s.append(pause_s)
        self._on_pause(len(self.pauses_s))
        if len(self.pauses_s) >= self._left:
            self.reflector.stop()

    def _replace(self, objects: list[dict[str, Any]]) -> None:
        assert all(each["kind"] == "Thing" for each in objects)
        self.told.append(("REPLACE", [each["metadata"]["name"] for each in objects]))

    def _change(self, kind: str, value: dict[str, Any]) -> None:
        self.told.append((kind, value["metadata"]["name"]))


def watch(served: tuple[Server, Api], *script: Answer, pauses: int = 1) -> Watcher:
    """Runs a reflector over the script until its last step has failed or ended."""
    server, api = served
    server.script = list(script)
    return Watcher(api, pauses).run()


def queries(server: Server) -> list[dict[str, str]]:
    """What was asked."""
    return [query for _, _, query, _ in server.requests]


def test_the_first_picture_comes_with_the_watch(served: tuple[Server, Api]) -> None:
    """All objects at once, then changes; the request asks for bookmarks and has the selector and a limit of time."""
    changes = (modified("a", 6), bookmark(7), deleted("b", 8), added("c", 9))
    watcher = watch(served, watched(*PICTURE, *changes))
    assert watcher.told == [("REPLACE", ["a", "b"]), ("MODIFIED", "a"), ("DELETED", "b"), ("ADDED", "c")]
    assert queries(served[0]) == [
        {
            "fieldSelector": "spec.x=y",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": "450",
            "watch": "true",
        }
    ]
    assert watcher.reflector.synced.is_set()
    assert (watcher.reflector.counters.events, watcher.reflector.counters.lists) == (3, 0)


def test_objects_come_without_managed_fields(served: tuple[Server, Api]) -> None:
    """In no way that they come: they are a third of the memory."""
    fields = [{"manager": "kubectl"}]
    event = {"type": "ADDED", "object": thing("a", 6, managedFields=fields)}
    pages = {"kind": "ThingList", "metadata": {"resourceVersion": "5"}, "items": [event["object"]]}
    server, api = served
    server.script = [watched(event, bookmark(6, complete=True), event, failing(410, "")), refused(422, "")]
    server.script += [answered(pages), watched()]
    watcher = Watcher(api, 2)
    seen: list[dict[str, Any]] = []
    watcher.reflector._on_replace = seen.extend
    watcher.reflector._on_event = lambda _, value: seen.append(value)
    watcher.run()
    assert [each["metadata"]["name"] for each in seen] == ["a", "a", "a"]
    assert not any("managedFields" in each["metadata"] for each in seen)


def test_what_changes_while_the_picture_is_told_is_in_it(served: tuple[Server, Api]) -> None:
    """An object that is changed or deleted before the end mark is told once, or not at all."""
    watcher = watch(
        served, watched(added("a", 1), added("b", 2), bookmark(2), modified("a", 3), deleted("b", 4), bookmark(4, True))
    )
    assert watcher.told == [("REPLACE", ["a"])]


def test_a_watch_goes_on_from_where_the_last_one_ended(served: tuple[Server, Api]) -> None:
    """From the version of the last event or bookmark; nothing is listed or told again."""
    script = (watched(*PICTURE), watched(added("c", 6), bookmark(9)), watched(added("d", 10)))
    watcher = watch(served, *script, pauses=3)
    assert [query.get("resourceVersion") for query in queries(served[0])] == [None, "5", "9"]
    assert watcher.told == [("REPLACE", ["a", "b"]), ("ADDED", "c"), ("ADDED", "d")]


def test_a_watch_that_ends_in_time_is_followed_at_once_by_the_next(served: tuple[Server, Api]) -> None:
    """Only one that ended at once costs a pause."""
    server, api = served
    server.script = [watched(*PICTURE, added("c", 6)), watched(added("d", 7)), watched()]
    watcher = Watcher(api, 1)
    change = watcher._change

    def slowly(kind: str, value: dict[str, Any]) -> None:
        change(kind, value)
        watcher.now_s += 400

    watcher.reflector._on_event = slowly
    watcher.run()
    assert len(server.requests) == 3
    assert watcher.pauses_s == [pytest.approx(1.2)]


def test_watches_that_end_at_once_do_not_turn_in_circles(served: tuple[Server, Api]) -> None:
    """The pause doubles up to its limit, with jitter on top."""
    watcher = watch(served, watched(*PICTURE), *[watched()] * 7, pauses=8)
    assert watcher.pauses_s == [pytest.approx(each) for each in (1.2, 2.4, 4.8, 9.6, 19.2, 22.5, 22.5, 22.5)]


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_watch_lists_is_listed(served: tuple[Server, Api], status: int) -> None:
    """Without a pause, in pages, told at once, then watched from the list's version; the server is not asked again."""
    script = (refused(status, "forbidden"), listed(["a", "b"], 7, "p2"), listed(["c"], 7), watched(failing(410, "old")))
    watcher = watch(served, *script, listed(["a"], 9), watched(), pauses=2)
    assert watcher.told == [("REPLACE", ["a", "b", "c"]), ("REPLACE", ["a"])]
    asked = [{key: query.get(key) for key in ("limit", "continue", "resourceVersion")} for query in queries(served[0])]
    assert asked[1:4] == [
        {"limit": "2", "continue": None, "resourceVersion": "0"},
        {"limit": "2", "continue": "p2", "resourceVersion": None},
        {"limit": None, "continue": None, "resourceVersion": "7"},
    ]
    assert asked[4] == {"limit": "2", "continue": None, "resourceVersion": None}, "a relist is not from old memory"
    assert not any("sendInitialEvents" in query for query in queries(served[0])[1:])


@pytest.mark.parametrize(
    "first",
    [
        watched(added("a", 1), failing(500, "etcd is too old")),
        watched(added("a", 1)),
        watched(added("a", 1), then="cut"),
        refused(500, "no"),
    ],
    ids=["error in the stream", "ended early", "connection lost", "refused"],
)
def test_half_a_picture_is_never_told(served: tuple[Server, Api], first: Answer) -> None:
    """What does not get to its end mark is dropped; the next attempt lists."""
    watcher = watch(served, first, listed(["a", "b"], 7), watched(), pauses=2)
    assert watcher.told == [("REPLACE", ["a", "b"])]
    assert "sendInitialEvents" not in queries(served[0])[1]


def test_half_a_list_is_never_told(served: tuple[Server, Api]) -> None:
    """A page that fails costs all pages; a list whose pages expire is asked for in one piece."""
    script = (refused(422, ""), listed(["a"], 7, "p2"), refused(410, "expired"), listed(["a", "b"], 8), watched())
    watcher = watch(served, *script, pauses=2)
    assert watcher.told == [("REPLACE", ["a", "b"])]
    assert "limit" not in queries(served[0])[3]


@pytest.mark.parametrize("gone", [refused(410, "too old"), watched(failing(410, "too old"))], ids=["answer", "stream"])
def test_an_expired_version_costs_one_new_picture(served: tuple[Server, Api], gone: Answer) -> None:
    """After a short pause, and no more than one."""
    watcher = watch(served, watched(*PICTURE, then="cut"), gone, watched(added("z", 20), bookmark(21, True)), pauses=3)
    assert watcher.told == [("REPLACE", ["a", "b"]), ("REPLACE", ["z"])]
    assert watcher.pauses_s[1] == pytest.approx(1.2)
    assert watcher.reflector.counters.errors["Expired"] == 1
    assert len(served[0].requests) == 3


def test_expired_versions_one_after_the_other_are_slowed_down(served: tuple[Server, Api]) -> None:
    """A server that forgets every version at once is not asked for everything all the time."""
    script = [watched(*PICTURE, failing(410, "too old"))] * 4
    assert watch(served, *script, pauses=4).pauses_s == [pytest.approx(each) for each in (1.2, 2.4, 4.8, 9.6)]


@pytest.mark.parametrize(
    ("answer", "kind", "pause_s"),
    [
        (refused(429, "slow down", Retry_After="7"), "TooManyRequests", 7.4),
        (watched(failing(429, "slow down", 7)), "TooManyRequests", 7.4),
        (refused(429, "slow down", Retry_After="86400"), "TooManyRequests", 300.4),
        (refused(401, "who?"), "Forbidden", 10.4),
        (refused(403, "you?"), "Forbidden", 10.4),
        (refused(500, "ouch"), "ServerError", 1.2),
        (refused(503, "starting", Retry_After="2"), "ServerError", 2.4),
        (watched(failing(500, "ouch")), "ServerError", 1.2),
        (watched(then="cut"), "Unreachable", 1.2),
        (watched(raw=b'{"type": "ADDED", "obj', then="cut"), "Unreachable", 1.2),
        (watched(raw=b'{"type": "ADDED", "obj'), "Unreachable", 1.2),
        (watched(raw=b"nonsense\n"), "Unreachable", 1.2),
        (watched(raw=b'{"type": "ADDED", "object": {}}\n'), "Unreachable", 1.2),
        (watched(raw=b'{"type": "ADDED"}\n'), "Unreachable", 1.2),
        (watched(raw=b"[]\n"), "Unreachable", 1.2),
    ],
)
def test_a_failure_costs_a_pause_and_nothing_else(
    served: tuple[Server, Api], answer: Answer, kind: str, pause_s: float
) -> None:
    """It is counted by kind; what was told stays, and the watch goes on from the same version."""
    watcher = watch(served, watched(*PICTURE), answer, watched(added("c", 6)), pauses=3)
    assert watcher.told == [("REPLACE", ["a", "b"]), ("ADDED", "c")]
    assert watcher.reflector.counters.errors[kind] >= 1
    expected = pause_s if kind != "Unreachable" else 2.4  # the end of the first watch counts, too
    assert watcher.pauses_s[1] == pytest.approx(expected)
    assert queries(served[0])[2]["resourceVersion"] == "5"


@pytest.mark.parametrize("answer", [answered([]), answered({"kind": "ThingList"}), babble])
def test_a_list_of_nonsense_is_a_failure(served: tuple[Server, Api], answer: Answer) -> None:
    """Nothing is told, and the list is tried again."""
    watcher = watch(served, refused(422, ""), answer, listed(["a"], 3), watched(), pauses=2)
    assert watcher.told == [("REPLACE", ["a"])]


def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """Connections refused, then an answer: one synchronisation, no crash."""
    with api_server(tmp_path) as (server, api):
        port = server.server_port
    with ExitStack() as running:

        def appear(pause: int) -> None:
            if pause == 3:
                late, _ = running.enter_context(api_server(tmp_path, port=port))
                late.script = [watched(*PICTURE)]

        watcher = Watcher(api, 4, appear).run()
    assert watcher.told == [("REPLACE", ["a", "b"])]
    assert watcher.pauses_s == [pytest.approx(each) for each in (1.2, 2.4, 4.8, 9.6)]


def test_silence_ends_a_picture(served: tuple[Server, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that begins to tell and then says nothing is asked for a list."""
    monkeypatch.setattr(reflector_module, "PICTURE_SILENCE_S", 0.05)
    watcher = watch(served, watched(added("a", 1), then="hang"), listed(["a"], 2), watched(), pauses=2)
    assert watcher.told == [("REPLACE", ["a"])]


def test_silence_ends_a_watch(served: tuple[Server, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that neither tells anything nor ends the watch in its time is asked again."""
    monkeypatch.setattr(reflector_module, "GRACE_S", 0.05)
    server, api = served
    server.script = [watched(*PICTURE, then="hang"), watched(added("c", 6), then="hang")]
    watcher = Watcher(api, 2, watch_s=0).run()
    assert watcher.told == [("REPLACE", ["a", "b"]), ("ADDED", "c")]
    assert watcher.reflector.counters.errors == {"Unreachable": 2}


def test_silence_after_a_bookmark_ends_a_watch_early(
    served: tuple[Server, Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has sent one sends more; who sends none, or only the one that ends the picture, may be silent for long."""
    monkeypatch.setattr(reflector_module, "BOOKMARK_SILENCE_S", 0.05)
    server, api = served
    server.script = [watched(*PICTURE, bookmark(7), then="hang"), watched(added("c", 8))]
    watcher = Watcher(api, 2).run()
    assert watcher.told == [("REPLACE", ["a", "b"]), ("ADDED", "c")]
    assert queries(server)[1]["resourceVersion"] == "7"
    server.script = [watched(*PICTURE, then="hang")]
    patient = Watcher(api, 1)
    thread = threading.Thread(target=patient.reflector.run)
    thread.start()
    assert patient.reflector.synced.wait(JOIN_S)
    thread.join(0.5)
    assert thread.is_alive()
    patient.reflector.stop()
    thread.join(JOIN_S)
    assert patient.reflector.counters.errors == {}


def test_silence_instead_of_an_answer_is_a_failure(served: tuple[Server, Api], monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and says nothing, as one that is stopped does: asked again from where we were."""
    monkeypatch.setattr(reflector_module, "ANSWER_S", 0.05)
    watcher = watch(served, watched(*PICTURE), silent, watched(added("c", 6)), pauses=3)
    assert watcher.told == [("REPLACE", ["a", "b"]), ("ADDED", "c")]
    assert watcher.pauses_s[:2] == [pytest.approx(each) for each in (1.2, 2.4)]
    assert queries(served[0])[2]["resourceVersion"] == "5"


def test_stop_ends_a_blocked_read(served: tuple[Server, Api]) -> None:
    """At once, although the server says nothing; nothing is told afterwards."""
    server, api = served
    server.script = [watched(*PICTURE, then="hang")]
    watcher = Watcher(api, 1)
    thread = threading.Thread(target=watcher.reflector.run)
    thread.start()
    assert watcher.reflector.synced.wait(JOIN_S)
    watcher.reflector.stop()
    thread.join(JOIN_S)
    assert not thread.is_alive()
    assert watcher.told == [("REPLACE", ["a", "b"])]
    assert watcher.pauses_s == [], "stopping is no failure"


@pytest.mark.parametrize("event", ["REPLACE", "ADDED"])
def test_nothing_is_told_after_stop(served: tuple[Server, Api], event: str) -> None:
    """Not even what has been received already."""
    server, api = served
    server.script = [watched(*PICTURE, added("c", 6), added("d", 7), added("e", 8))]
    watcher = Watcher(api, 1)
    for name in ("_on_replace", "_on_event"):
        tell = getattr(watcher.reflector, name)
        setattr(watcher.reflector, name, partial(_tell_then_stop, watcher, event, tell))
    watcher.run()
    assert [kind for kind, _ in watcher.told][-1] == event
    assert len(watcher.told) == (1 if event == "REPLACE" else 2)


def _tell_then_stop(watcher: Watcher, event: str, tell: Callable[..., None], *arguments: Any) -> None:
    tell(*arguments)
    if watcher.told[-1][0] == event:
        watcher.reflector.stop()


def test_a_reason_is_said_once(served: tuple[Server, Api]) -> None:
    """At first and when it changes, with path and pause, and what stays; the end of it is said, too."""
    script = [watched(*PICTURE, then="cut"), *[refused(500, "ouch")] * 3, refused(403, "you?"), watched(bookmark(6))]
    with capture_logs() as logs:
        watch(served, *script, pauses=6)
    said = [(each["event"], each.get("reason", "").partition("things: ")[2][:10]) for each in logs]
    assert said == [
        ("watch_synced", ""),
        ("watch_failed", "the connec"),
        ("watch_failed", "500: ouch;"),
        ("watch_failed", "403: you?;"),
        ("watch_resumed", ""),
        ("watch_failed", "ended at o"),
    ]
    failed = logs[2]
    assert (failed["path"], failed["retry_s"]) == (PATH, 1.2)
    assert "what is enforced stays enforced" in failed["reason"]


def test_what_held_for_long_begins_with_short_pauses(served: tuple[Server, Api]) -> None:
    """After half a minute of peace a failure is a new one."""
    server, api = served
    server.script = [refused(500, "ouch"), listed([], 3), watched(failing(500, "ouch")), watched(failing(500, "ouch"))]
    server.script.insert(2, watched(added("a", 4), failing(500, "ouch")))
    watcher = Watcher(api, 4)

    def age(*_: object) -> None:
        watcher.now_s += 31

    watcher.reflector._on_event = age
    assert watcher.run().pauses_s == [pytest.approx(each) for each in (1.2, 1.2, 2.4, 4.8)]
