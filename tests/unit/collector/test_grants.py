"""What was said of a token is remembered for seconds, asked about again, and never outlives its time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import grpc
import pytest

from bulkhead.collector.access import Why
from bulkhead.collector.grants import Grant, Grants, Question, Refusal
from bulkhead.errors import Unreachable
from bulkhead.settings import GrantLimits

LIMITS = GrantLimits()
QUESTION = Question("token", "watch", "shop")


@dataclass(frozen=True)
class Said:
    """A judgement."""

    user: str
    allowed: bool
    reason: str = "because"


ALLOWED, FORBIDDEN, NOBODY = Said("me", True), Said("me", False), Said("", False)


@dataclass
class Reviewer:
    """Says `judgement`, or nothing where there is none, and remembers what it was asked."""

    judgement: Said | None = ALLOWED
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    gate: threading.Event | None = None

    def review(self, token: str, verb: str, namespace: str) -> Said:
        """Waits for the gate."""
        self.asked.append((token, verb, namespace))
        if self.gate:
            self.gate.wait()
        if self.judgement is None:
            raise Unreachable("API server: Connection refused")
        return self.judgement


class Clock:
    """Stands still."""

    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def with_grants(
    reviewer: Reviewer, act: Callable[[Grants, Clock], Awaitable[None]], limits: GrantLimits = LIMITS
) -> None:
    """Runs something with grants whose clock stands still."""

    async def run() -> None:
        clock = Clock()
        grants = Grants(reviewer, limits, clock)
        try:
            await act(grants, clock)
        finally:
            grants.close()

    asyncio.run(run())


def code(refusal: Refusal | None) -> grpc.StatusCode | None:
    """None where there is no refusal."""
    return refusal.status if refusal else None


def test_one_question_is_asked_once_for_all() -> None:
    """Within its time, whoever asks, at once or one after another; another right or token is another question."""
    reviewer = Reviewer()

    async def act(grants: Grants, clock: Clock) -> None:
        assert await asyncio.gather(*(grants.of(QUESTION).check() for _ in range(20))) == [None] * 20
        clock.now_s += LIMITS.recheck_s - 1
        assert await grants.of(QUESTION).check() is None
        assert reviewer.asked == [("token", "watch", "shop")]
        for other in (Question("other", "watch", "shop"), Question("token", "list", "shop"), QUESTION):
            assert await grants.of(other).check() is None
        assert await grants.of(Question("token", "watch", "")).check() is None
        assert reviewer.asked[1:] == [("other", "watch", "shop"), ("token", "list", "shop"), ("token", "watch", "")]

    with_grants(reviewer, act)


@pytest.mark.parametrize(
    ("after", "why", "status"),
    [
        (FORBIDDEN, Why.RIGHT, grpc.StatusCode.PERMISSION_DENIED),
        (NOBODY, Why.TOKEN, grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_what_was_taken_away_is_seen_at_the_next_look(after: Said, why: Why, status: grpc.StatusCode) -> None:
    """The right, or the token itself; and what is given back is seen sooner."""
    reviewer = Reviewer()

    async def act(grants: Grants, clock: Clock) -> None:
        grant = grants.of(QUESTION)
        assert await grant.check() is None
        reviewer.judgement = after
        clock.now_s += LIMITS.recheck_s
        assert await grant.check() == Refusal(why, status, "because")
        reviewer.judgement = ALLOWED
        assert code(await grant.check()) is status
        clock.now_s += LIMITS.refused_s
        assert await grant.check() is None

    with_grants(reviewer, act)


def test_without_an_answer_what_was_said_holds_until_its_time_is_over() -> None:
    """And then no more, until there is an answer; meanwhile nobody asks in a hurry."""
    reviewer = Reviewer()

    async def act(grants: Grants, clock: Clock) -> None:
        grant, began_s = grants.of(QUESTION), clock.now_s
        assert await grant.check() is None
        reviewer.judgement = None
        while clock.now_s < began_s + LIMITS.hold_s:
            assert await grant.check() is None
            clock.now_s += 1
        refusal = await grant.check()
        assert refusal is not None
        assert (refusal.why, refusal.status) == (Why.UNREACHABLE, grpc.StatusCode.UNAVAILABLE)
        assert "API server" in refusal.text
        assert "refused" not in refusal.text  # where it is and what is wrong with it is for the log
        assert len(reviewer.asked) <= 2 + (LIMITS.hold_s - LIMITS.recheck_s) / LIMITS.retry_s
        reviewer.judgement = ALLOWED
        clock.now_s += LIMITS.retry_s
        assert await grant.check() is None

    with_grants(reviewer, act)


def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_said() -> None:
    """The thread that hangs holds up nobody who is known."""
    reviewer = Reviewer()
    limits = GrantLimits(answer_s=0.05)

    async def act(grants: Grants, clock: Clock) -> None:
        known = grants.of(QUESTION)
        assert await known.check() is None
        reviewer.gate = threading.Event()
        try:
            hanging = [grants.of(Question(f"new-{number}", "list", "")) for number in range(limits.threads)]
            refusals = await asyncio.gather(*(each.check() for each in hanging))
            assert {code(each) for each in refusals} == {grpc.StatusCode.UNAVAILABLE}
            assert await known.check() is None
        finally:
            reviewer.gate.set()

    with_grants(reviewer, act, limits)


def test_a_flood_of_invented_tokens_is_not_handed_on() -> None:
    """So many may wait; the rest is refused at once, may come again, and those who are known are asked about."""
    reviewer = Reviewer()
    limits = GrantLimits(waiting=6)

    async def act(grants: Grants, clock: Clock) -> None:
        known = grants.of(QUESTION)
        assert await known.check() is None
        clock.now_s += limits.recheck_s
        reviewer.gate, reviewer.judgement = threading.Event(), NOBODY
        flood = [asyncio.create_task(check(grants, number)) for number in range(20)]
        done, _ = await asyncio.wait(flood, return_when=asyncio.FIRST_COMPLETED)
        assert [code(each.result()) for each in done] == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 14
        recheck = asyncio.create_task(known.check())
        while ("token", "watch", "shop") not in reviewer.asked[1:]:
            await asyncio.sleep(0.001)
        reviewer.gate.set()
        assert [code(await each) for each in flood].count(grpc.StatusCode.UNAUTHENTICATED) == 6
        await recheck
        assert code(await check(grants, 19)) is grpc.StatusCode.UNAUTHENTICATED

    with_grants(reviewer, act, limits)


async def check(grants: Grants, number: int) -> Refusal | None:
    """One of many."""
    return await grants.of(Question(f"invented-{number}", "watch", "")).check()


def test_a_caller_that_goes_takes_no_answer_from_others() -> None:
    """The question that it began is the others' as well."""
    reviewer = Reviewer(gate=threading.Event())

    async def act(grants: Grants, clock: Clock) -> None:
        first, second = (asyncio.create_task(grants.of(QUESTION).check()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        assert reviewer.gate is not None
        reviewer.gate.set()
        assert await second is None
        assert len(reviewer.asked) == 1

    with_grants(reviewer, act)


def test_memory_is_bounded_and_tokens_are_forgotten() -> None:
    """Those asked for least lately go first, all once their time is over; a stream keeps its own grant."""
    reviewer = Reviewer()
    limits = GrantLimits(remembered=8)

    async def act(grants: Grants, clock: Clock) -> None:
        own: Grant = grants.of(QUESTION)
        assert await own.check() is None
        for number in range(100):
            assert await check(grants, number) is None
        assert len(grants) == 8
        reviewer.judgement = FORBIDDEN
        clock.now_s += limits.recheck_s
        assert code(await own.check()) is grpc.StatusCode.PERMISSION_DENIED
        clock.now_s += limits.hold_s
        await check(grants, 0)
        assert len(grants) == 1

    with_grants(reviewer, act, limits)
