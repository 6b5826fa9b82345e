"""Looks at containers, each in a thread of its own that is not waited for for ever.

A container can have mounted what does not answer: NFS whose server is away, FUSE whose server is a process of its own.
Whoever opens a path there waits with it, and cannot be called back. So that one container keeps no other from its
policies, the thread is left to itself after `LOOK_S`, and that container is not looked at again before it has ended.
Next step: `enforcement.enforcer` works with what was seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from bulkhead.enforcement.localise import localise
from bulkhead.enforcement.roots import RootView, look_at
from bulkhead.errors import BulkheadError, InternalError, NotEnforceable
from bulkhead.node.container import Container
from bulkhead.policy.rules import PolicyRules

LOOK_S = 5.0  # a look takes milliseconds, and some tenths of a second on a busy emulated machine

Looked = tuple[RootView, tuple[PolicyRules, ...]]


class Looks:
    """One at a time; those that were given up are remembered by the container's cgroup id until they end."""

    def __init__(self) -> None:
        self._given_up: dict[int, _Look] = {}

    @contextmanager
    def at(self, container: Container, policies: Iterable[PolicyRules]) -> Iterator[Looked]:
        """What a container sees, open as long as the context is, and the policies as they hold there.

        Raises `NotEnforceable`, also where it does not answer in time, and `DoesNotFit`.
        """
        self._given_up = {each: look for each, look in self._given_up.items() if look.is_alive()}
        if container.cgroup_id in self._given_up:
            raise _silence(container)
        look = _Look(container.pid or 1, tuple(policies))
        look.start()
        try:
            if not look.seen.wait(LOOK_S):
                self._given_up[container.cgroup_id] = look
                raise _silence(container)
            yield look.answer()
        finally:
            look.over.set()
        look.join(LOOK_S)


def _silence(container: Container) -> NotEnforceable:
    return NotEnforceable(
        f"container {container.name}: a file system that it has mounted does not answer; it is looked at again when it "
        "does, what was enforced goes on"
    )


class _Look(Thread):
    """`seen` is set once there is an answer. What was opened is closed by this thread, once `over` is set."""

    def __init__(self, pid: int, policies: tuple[PolicyRules, ...]) -> None:
        super().__init__(name="looking", daemon=True)
        self._pid, self._policies = pid, policies
        self._looked: Looked | None = None
        self._error: BulkheadError | None = None
        self.seen, self.over = Event(), Event()

    def run(self) -> None:
        """Look, and keep open what was found for whoever asked."""
        try:
            with look_at(self._pid) as view:
                self._looked = view, tuple(localise(rules, view.links.follow) for rules in self._policies)
                self.seen.set()
                self.over.wait()
        except BulkheadError as error:
            self._error = error
        finally:
            self.seen.set()

    def answer(self) -> Looked:
        """What was seen. Raises what kept from seeing it."""
        if self._error:
            raise self._error
        if self._looked is None:
            raise InternalError(
                f"process {self._pid}: looking at it failed, as was said above; what was enforced goes on"
            )
        return self._looked
