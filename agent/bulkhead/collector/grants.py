"""What a reviewer (the cluster's API server) said of a token and a right: remembered for seconds, then asked again.

A grant is younger than `recheck_s`, or is asked about before it is used. Where nobody answers, what was said holds
until `hold_s`, and then no more. Everybody with the same token and question shares one grant. Next step:
`collector.tokens` lets callers in by it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import grpc

from bulkhead.collector.access import Why
from bulkhead.errors import Unreachable
from bulkhead.log import get_log
from bulkhead.settings import GrantLimits

log = get_log()

DEFAULT_LIMITS = GrantLimits()
AWAY = "the API server, which knows who may read violations, does not answer"
BUSY = "too many callers that are not known yet: try again"


class Judgement(Protocol):
    """What was said. `user` is empty where the token is nobody's; `reason` says to the caller why not."""

    @property
    def user(self) -> str: ...

    @property
    def allowed(self) -> bool: ...

    @property
    def reason(self) -> str: ...


class Reviewer(Protocol):
    """Who knows."""

    def review(self, token: str, verb: str, namespace: str) -> Judgement:
        """Of all namespaces where it is empty. Blocks for some seconds. Raises `Unreachable`."""
        ...


class Refusal(NamedTuple):
    """Why a call ends."""

    why: Why
    status: grpc.StatusCode
    text: str


class Busy(Unreachable):
    """Too many newcomers wait."""


class Question(NamedTuple):
    """May whoever has this token do `verb` in this namespace?"""

    token: str
    verb: str
    namespace: str


class Desk:
    """Where questions are asked, in threads: those about known callers never wait behind newcomers'."""

    def __init__(self, reviewer: Reviewer, limits: GrantLimits) -> None:
        self._reviewer, self._limits = reviewer, limits
        self._known = ThreadPoolExecutor(limits.threads, "review-known")
        self._new = ThreadPoolExecutor(limits.threads, "review-new")
        self._waiting = 0
        self._told = ""  # why the last question had no answer

    async def ask(self, question: Question, is_new: bool) -> Judgement:
        """Raises `Busy`, and `Unreachable` where there is no answer in time."""
        if not is_new:
            return await self._ask(question, self._known)
        if self._waiting >= self._limits.waiting:
            raise Busy(BUSY)
        self._waiting += 1
        try:
            return await self._ask(question, self._new)
        finally:
            self._waiting -= 1

    async def _ask(self, question: Question, threads: ThreadPoolExecutor) -> Judgement:
        try:
            async with asyncio.timeout(self._limits.answer_s):
                judgement = await asyncio.get_running_loop().run_in_executor(threads, self._reviewer.review, *question)
        except (Unreachable, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            if reason != self._told:
                self._told = reason
                log.warning("review_failed", reason=reason)
            raise Unreachable(AWAY) from error
        self._told = ""
        return judgement

    def close(self) -> None:
        """Asks nothing any more."""
        for threads in (self._known, self._new):
            threads.shutdown(wait=False, cancel_futures=True)


class Grant:
    """What is known of one question."""

    def __init__(self, question: Question, desk: Desk, limits: GrantLimits, clock_s: Callable[[], float]) -> None:
        self._question, self._desk, self._limits, self._clock_s = question, desk, limits, clock_s
        self._judgement: Judgement | None = None
        self._failure = Refusal(Why.UNREACHABLE, grpc.StatusCode.UNAVAILABLE, AWAY)
        self._ask_again_s = clock_s()
        self._until_s = self._ask_again_s + limits.answer_s  # it is there for all who come at once
        self._asking: asyncio.Task[None] | None = None

    @property
    def user(self) -> str:
        """Who it is about, as far as is known."""
        return self._judgement.user if self._judgement else ""

    @property
    def _is_allowed(self) -> bool:
        return self._judgement is not None and self._judgement.allowed

    def is_over(self) -> bool:
        """Whether nothing is known by it any more."""
        return self._asking is None and self._clock_s() >= max(self._until_s, self._ask_again_s)

    async def check(self) -> Refusal | None:
        """None while it allows."""
        if self._clock_s() >= self._ask_again_s:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask())
            await asyncio.shield(self._asking)
        if self._judgement is None or self._clock_s() >= self._until_s:
            return self._failure
        return refusal(self._judgement)

    async def _ask(self) -> None:
        began_s = self._clock_s()
        try:
            judgement = await self._desk.ask(self._question, is_new=not self._is_allowed)
        except Busy as error:
            self._failure = Refusal(Why.BUSY, grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except Unreachable as error:
            self._failure = Refusal(Why.UNREACHABLE, grpc.StatusCode.UNAVAILABLE, str(error))
            self._ask_again_s = self._clock_s() + self._limits.retry_s
        else:
            self._judgement = judgement
            self._until_s = began_s + self._limits.hold_s
            self._ask_again_s = began_s + (self._limits.recheck_s if judgement.allowed else self._limits.refused_s)
        finally:
            self._asking = None


def refusal(judgement: Judgement) -> Refusal | None:
    """What a judgement means to a caller."""
    if judgement.allowed:
        return None
    if not judgement.user:
        return Refusal(Why.TOKEN, grpc.StatusCode.UNAUTHENTICATED, judgement.reason)
    return Refusal(Why.RIGHT, grpc.StatusCode.PERMISSION_DENIED, judgement.reason)


class Grants:
    """The grants of one collector; as many as the limits say, those asked for least lately go first."""

    def __init__(
        self,
        reviewer: Reviewer,
        limits: GrantLimits = DEFAULT_LIMITS,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits, self._clock_s = limits, clock_s
        self._desk = Desk(reviewer, limits)
        self._grants: OrderedDict[tuple[bytes, str, str], Grant] = OrderedDict()

    def of(self, question: Question) -> Grant:
        """The grant of a question. A stream keeps its own, whether or not it is forgotten here."""
        for key in [key for key, grant in self._grants.items() if grant.is_over()]:
            del self._grants[key]  # and with it the token
        key = (hashlib.sha256(question.token.encode()).digest(), question.verb, question.namespace)
        grant = self._grants.get(key)
        if grant is None:
            grant = self._grants[key] = Grant(question, self._desk, self._limits, self._clock_s)
            if len(self._grants) > self._limits.remembered:
                self._grants.popitem(last=False)
        self._grants.move_to_end(key)
        return grant

    def __len__(self) -> int:
        return len(self._grants)

    def close(self) -> None:
        """Asks nothing any more."""
        self._desk.close()
