"""Keeps somebody up to date about one collection of objects: all of them once, then every change, for ever.

The first complete picture comes as a watch that begins with everything there is, or from a server that does not offer
this as a list in pages. Changes come from a watch that goes on from the last resource version, over as many connections
as it takes. A failure costs a pause, and a new picture only where the server has forgotten the version. One thread runs
it; `kube.pacing` says how long to wait, `kube.errors` what an error means.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.errors import ApiRefused, Expired, Forbidden, Invalid, TooManyRequests, no_answer, pause_at_least_s
from bulkhead.kube.pacing import Backoff
from bulkhead.kube.picture import Object, Picture, slim, version_of, with_kinds
from bulkhead.kube.stream import Event, EventStream
from bulkhead.log import get_log

PAGE_OBJECTS = 500  # what the API server answers in one go without trouble
WATCH_S = 1200  # to twice that: agents that were started at once do not come back at once, and 5,000 seldom
ANSWER_S = 30.0  # until a watch is accepted
PICTURE_SILENCE_S = 60.0  # between two objects of the first picture: the server is busy with nothing else
GRACE_S = 15.0  # how much later than promised a server may end a watch
BOOKMARK_SILENCE_S = 180.0  # after a bookmark: who sends some sends one a minute, however quiet it is
SHORT_S = 1.0  # a watch that ends sooner is a failure, or we would turn in circles
LASTING_S = 30.0  # what held for so long is well again: pauses begin short

log = get_log()


@dataclass(frozen=True)
class Tuning:
    """Sizes, times and chance, for tests and trials to change. `sleep` None: wait until `stop` at most."""

    watch_s: int = WATCH_S
    page_objects: int = PAGE_OBJECTS
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    sleep: Callable[[float], object] | None = None


@dataclass
class Counters:
    """What a reflector has done. `errors` by kind; `last_contact` on the monotonic clock, 0 before the first."""

    lists: int = 0
    watches: int = 0
    events: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    last_contact: float = 0.0

    def silence_s(self, now: float) -> float:
        """Seconds since the server last said anything, at `now` of the same clock; infinite before the first time."""
        return now - self.last_contact if self.last_contact else math.inf


class Reflector:
    """`on_replace` gets all objects at once, never a part; `on_event` ADDED, MODIFIED or DELETED with the object.

    Both are called by the thread in `run`, one at a time, and must not raise. Objects are as the server has them, with
    apiVersion and kind, without managedFields; of a picture, what `take` leaves of each as it comes.
    """

    def __init__(  # noqa: PLR0913  # what to watch, whom to tell, and two things that are seldom said
        self,
        api: Api,
        path: str,
        on_replace: Callable[[list[Object]], None],
        on_event: Callable[[str, Object], None],
        *,
        field_selector: str = "",
        label_selector: str = "",
        take: Callable[[Object], Object] = lambda value: value,
        tuning: Tuning | None = None,
    ) -> None:
        self._api, self._path, self._on_replace, self._on_event = api, path, on_replace, on_event
        selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
        self._selection = {name: selector for name, selector in selectors.items() if selector}
        self._take, self._tuning = take, tuning or Tuning()
        self._stopping = threading.Event()
        self._sleep = self._tuning.sleep or self._stopping.wait
        # one a kind of failure: a server that is back after a long time and forgot the version is asked again at once
        self._backoffs = defaultdict[str, Backoff](lambda: Backoff(self._tuning.chance))
        self._calling = threading.RLock()  # held while a callback runs
        self._stream: EventStream | None = None
        self._version = ""  # up to where everything is known; empty: nothing is
        self._offers_pictures = True  # whether a watch may begin with everything there is
        self._list_next = False
        self._list_whole = False
        self._life_s = 0.0
        self._said = ""
        self._is_failing = False
        self.counters = Counters()
        self.synced = threading.Event()

    def run(self) -> None:
        """Until `stop`. An API server that is away, refuses or talks nonsense is waited for, without end."""
        while not self._stopping.is_set():
            began = self._tuning.clock()
            error = self._attempt()
            lived_s = self._tuning.clock() - began
            if lived_s >= LASTING_S:
                self._backoffs.clear()
                self._said = ""
            if error is None and lived_s < SHORT_S:
                error = no_answer(f"watch {self._path}", "ended at once")
            if error is not None and not self._stopping.is_set():
                self._fail(error)

    def stop(self) -> None:
        """End `run` at once, but for a connection that is being made (`ANSWER_S` at most).

        When this returns no callback runs, and none will. It waits for one that runs, unless that one calls it.
        """
        self._stopping.set()
        stream = self._stream
        if stream:
            stream.end()
        with self._calling:
            return

    def _attempt(self) -> Unreachable | None:
        """From where we are to where it ends: one watch, before it the picture where there is none."""
        try:
            if self._version:
                self._watch_changes()
            elif not self._watch_picture():
                self._list()
                self._watch_changes()
        except Expired as error:
            self._version = ""
            return error
        except Unreachable as error:
            return error
        return None

    def _watch_picture(self) -> bool:
        """A watch that begins with everything. False, at once, where it is better to list."""
        if self._list_next or not self._offers_pictures:
            return False
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        try:
            stream = self._open(query, PICTURE_SILENCE_S)
        except Invalid:
            self._offers_pictures = False
            return False
        except (Forbidden, TooManyRequests):
            raise
        except ApiRefused:
            self._list_next = True
            raise
        self._list_next = True  # a server that accepts, but never completes the picture, does not know the question
        self._read(stream, Picture(self._take))
        return True

    def _watch_changes(self) -> None:
        self._read(self._open({"resourceVersion": self._version}, 0.0), None)

    def _list(self) -> None:
        """All objects, in pages, then one replacement."""
        self.counters.lists += 1
        query = self._selection | ({} if self._list_whole else {"limit": str(self._tuning.page_objects)})
        if not self.synced.is_set():
            query["resourceVersion"] = "0"  # from the server's memory: as fresh as its watches
        objects: list[Object] = []
        while not self._stopping.is_set():
            try:
                page = self._api.get(self._path, query)
            except Expired:
                self._list_whole = True  # it changes faster than we turn pages
                raise
            self._heard()
            objects += map(self._take, with_kinds(page))
            version, more = version_of(page), str(page["metadata"].get("continue") or "")
            if not more:
                self._list_whole = False
                self._replace(objects, version, "list")
                return
            query = self._selection | {"limit": str(self._tuning.page_objects), "continue": more}

    def _open(self, query: dict[str, str], silence_s: float) -> EventStream:
        """A watch. `silence_s` 0: as long as it may live."""
        self.counters.watches += 1
        life_s = int(self._tuning.watch_s * (1 + self._tuning.chance()))
        self._life_s = life_s + GRACE_S
        query = self._selection | query | {"allowWatchBookmarks": "true", "timeoutSeconds": str(life_s)}
        return self._api.stream(self._path, query, ANSWER_S, silence_s or self._life_s)

    def _read(self, stream: EventStream, picture: Picture | None) -> None:
        """Events until the watch ends. Raises `Unreachable` where it ends within the picture."""
        self._stream = stream
        try:
            self._resume()
            for event in () if self._stopping.is_set() else stream.events(self._heard):
                if picture is None:
                    self._change(event)
                    if event["type"] == "BOOKMARK":
                        stream.allow_silence(min(BOOKMARK_SILENCE_S, self._life_s))
                elif version := picture.take(event):
                    self._replace(picture.objects(), version, "watch")
                    stream.allow_silence(self._life_s)
                    picture = None
        finally:
            self._stream = None
            stream.close()
        if picture is not None and not self._stopping.is_set():
            raise no_answer(f"watch {self._path}", "ended before everything was told")

    def _replace(self, objects: list[Object], version: str, way: str) -> None:
        with self._calling:
            if self._stopping.is_set():
                return
            self._on_replace(objects)
        self._version, self._list_next, self._is_failing = version, False, False
        self.synced.set()
        log.info("watch_synced", path=self._path, objects=len(objects), by=way)

    def _change(self, event: Event) -> None:
        kind, value = event["type"], event["object"]
        version = version_of(value)
        if kind != "BOOKMARK":
            self.counters.events += 1
            with self._calling:
                if self._stopping.is_set():
                    return
                self._on_event(kind, slim(value))
        self._version = version

    def _heard(self) -> None:
        self.counters.last_contact = self._tuning.clock()

    def _resume(self) -> None:
        """The server has accepted a watch."""
        self._heard()
        if self._is_failing and self._version:
            self._is_failing = False
            log.info("watch_resumed", path=self._path)

    def _fail(self, error: Unreachable) -> None:
        """Count it, say it where it is news, wait."""
        kind = type(error).__name__
        self.counters.errors[kind] += 1
        pause_s = self._backoffs[kind].pause_s(pause_at_least_s(error))
        if str(error) != self._said:
            log.warning("watch_failed", path=self._path, reason=str(error), retry_s=round(pause_s, 1))
            self._said, self._is_failing = str(error), True
        self._sleep(pause_s)
