"""Whether processes live, asked for all of them at once."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from bulkhead.node import lives as module
from bulkhead.node.lives import Lives, Process, lives, started


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two processes."""
    both = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    yield both
    for each in both:
        with suppress(ProcessLookupError):
            each.kill()
        each.wait()


def process_of(popen: subprocess.Popen[bytes]) -> Process:
    """As it is known here."""
    began = started(popen.pid)
    assert began is not None
    return Process(popen.pid, began)


@pytest.fixture(params=["watched", "looked up"])
def held(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    """With descriptors, and without any that it may have."""
    if request.param == "looked up":
        monkeypatch.setattr(module, "_room", lambda: 0)
    made = Lives()
    yield made
    made.close()


def test_who_has_ended_is_told_before_it_is_reaped(held: Lives, sleepers: list[subprocess.Popen[bytes]]) -> None:
    """And as long as it is held, also when its number is free."""
    one, other = map(process_of, sleepers)
    held.hold([one, other])
    assert held.ended() == set()
    sleepers[0].kill()
    os.waitid(os.P_PID, one.pid, os.WEXITED | os.WNOWAIT)
    assert not lives(one)
    assert held.ended() == {one}
    sleepers[0].wait()
    assert held.ended() == {one}
    held.hold([other])
    assert held.ended() == set()


def test_a_number_that_is_another_process_by_now_has_ended(
    held: Lives, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    """The one that is held began at another time."""
    former = process_of(sleepers[0])
    former = replace(former, started=former.started - 1)
    held.hold([former])
    assert held.ended() == {former}


def test_no_descriptor_is_kept_of_who_is_not_held(sleepers: list[subprocess.Popen[bytes]]) -> None:
    """The agent runs for months."""
    before = len(os.listdir("/proc/self/fd"))
    held = Lives()
    held.hold(map(process_of, sleepers))
    assert len(os.listdir("/proc/self/fd")) == before + 2
    held.close()
    assert len(os.listdir("/proc/self/fd")) == before
