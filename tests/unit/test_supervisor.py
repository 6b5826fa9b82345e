"""The agent ends when one of its tasks does not do its work."""

from __future__ import annotations

import os
import signal
import time

import pytest

from bulkhead.errors import Damaged, InternalError
from bulkhead.supervisor import Supervisor


def terminate_once_handled(before: object) -> None:
    """Sends SIGTERM as soon as somebody else than before would take it."""
    while signal.getsignal(signal.SIGTERM) is before:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGTERM)


def fail(error: BaseException) -> None:
    """A task that fails."""
    raise error


def test_an_error_of_ours_ends_the_agent_as_it_is() -> None:
    """So that its message and exit status reach the command line."""
    supervisor = Supervisor()
    supervisor.start("task", lambda: fail(Damaged("spool")))
    with pytest.raises(Damaged, match="spool"):
        supervisor.wait()


def test_a_bug_is_named_as_one() -> None:
    """With what goes on."""
    supervisor = Supervisor()
    supervisor.start("task", lambda: fail(ZeroDivisionError("x")))
    with pytest.raises(InternalError, match="what is enforced goes on"):
        supervisor.wait()


def test_sigterm_ends_it_well() -> None:
    """And signal handlers are put back."""
    before = signal.getsignal(signal.SIGTERM)
    supervisor = Supervisor()
    supervisor.start("task", lambda: terminate_once_handled(before))
    supervisor.wait()
    assert signal.getsignal(signal.SIGTERM) is before
