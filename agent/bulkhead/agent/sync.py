"""Makes what is enforced equal to what is desired, again and again.

One container that cannot be enforced does not keep the others waiting: it is logged, what it had stays, and it is
tried again at the next change or after `RETRY_S`; at once where only the process that was looked at has ended. One
whose policy set is still being built keeps what it had, too, and keeps nobody waiting. One of which it is not known yet
whether more policies hold is behind: those that are known are put into force, unless an earlier agent, which may have
known more, has put it under policies. Where much has changed, so much is done as fits into `TURN_S`, and then looked
again: a container that starts meanwhile waits no longer than that, and comes first.
Next step: `enforcement.enforcer`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from bulkhead.agent.source import Assignment, Source
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.roots import mount_namespace
from bulkhead.errors import BulkheadError, StillBuilding
from bulkhead.log import get_log
from bulkhead.node.container import Container
from bulkhead.node.turns import Turns

RETRY_S = 10.0
TURN_S = 0.3  # the runtime waits two seconds before it starts a container (`agent.cluster.starting`)
LOOKED_AT = 200  # containers a turn that are asked whether their mounts are others
PATIENCE = 2  # sets that are built for a container whose mounts change meanwhile; the next one is waited for

log = get_log()


@dataclass(frozen=True)
class Failure:
    """An assignment that could not be made so; `again_at` is of the monotonic clock, in seconds.

    `passing`: the process that was looked at had ended; another one, or none, stands for the container at once.
    """

    assignment: Assignment
    reason: str
    again_at: float
    passing: bool = False


@dataclass(frozen=True)
class _Waiting:
    """An assignment whose set is being built until `ended` is set, for so many times."""

    assignment: Assignment
    ended: threading.Event
    times: int


@dataclass
class Counts:
    """What was done since the start."""

    changes: int = 0
    failures: int = 0


class Sync:
    """What one source says, put into force by one enforcer. `synced` is set once that has been done in full."""

    def __init__(self, enforcer: Enforcer, source: Source, turns: Turns | None = None) -> None:
        self._enforcer = enforcer
        self._source = source
        self._turns = turns or Turns(LOOKED_AT)
        self._in_turn: frozenset[int] = frozenset()
        self._applied: dict[int, Assignment] = {}
        self._failed: dict[int, Failure] = {}
        self._unknown: dict[int, Failure] = {}
        self._waiting: dict[int, _Waiting] = {}
        self.unfinished = False  # there is more to do at once
        self.counts = Counts()
        self._after: list[Callable[[], None]] = []
        self.synced = threading.Event()

    def on_step(self, act: Callable[[], None]) -> None:
        """Call this after each look, in the thread that looks."""
        self._after.append(act)

    def step(self) -> int:
        """Look once and put right what differs; how many containers were changed."""
        self.unfinished = False
        changed = self._look()
        self.counts.changes += changed
        for act in self._after:
            act()
        return changed

    def _look(self) -> int:
        wanted = self._source.read()
        if wanted is None:
            return 0
        present = {assignment.container.cgroup_id for assignment in wanted}
        changed = 0
        held = self._enforcer.containers()
        changed += self._release_all(held, present, of_node=False)
        self._forget_all_but(present)
        self._unknown = {each.container.cgroup_id: Failure(each, each.unknown, 0.0) for each in wanted if each.unknown}
        identifiers = {container.cgroup_id for container in held}
        of_earlier = identifiers - self._applied.keys()
        self._in_turn = self._turns.take([each.container.cgroup_id for each in wanted])
        due = [each for each in wanted if self._is_due(each) and not self._may_loosen(each, of_earlier)]
        changed += self._take_turn(sorted(due, key=lambda each: each.container.cgroup_id in identifiers))
        if self.unfinished:
            return changed
        changed += self._release_all(held, present, of_node=True)  # what takes their place is in force by now
        if spared := self._source.spared():
            self._enforcer.spare(spared)
        if not self._waiting:
            self.synced.set()
        return changed

    def _take_turn(self, due: list[Assignment]) -> int:
        """Put them into force in this order, one at least, as many as fit; how many containers were changed."""
        over_at, changed = time.monotonic() + TURN_S, 0
        for done, assignment in enumerate(due, start=1):
            changed += self._enforce(assignment)
            self.unfinished = done < len(due) and time.monotonic() >= over_at
            if self.unfinished:
                break
        return changed

    def applied(self) -> Mapping[int, Assignment]:
        """What is in force, by cgroup id: the assignments that were made so by this process."""
        return dict(self._applied)

    def failures(self) -> tuple[Failure, ...]:
        """Assignments that could not be made so, or are not whole. What was enforced on their containers still is."""
        return tuple({**self._unknown, **self._failed}.values())

    def failure(self, cgroup_id: int) -> str | None:
        """Why a container could not be put under its newest policies; None where nothing failed."""
        found = self._failed.get(cgroup_id)
        return found.reason if found else None

    def _may_loosen(self, wanted: Assignment, of_earlier: set[int]) -> bool:
        """Whether what an earlier agent put into force may be more than what is known now."""
        return bool(wanted.unknown) and (not wanted.policies or wanted.container.cgroup_id in of_earlier)

    def _is_due(self, wanted: Assignment) -> bool:
        if wanted.container.pid is None:  # it starts, or ends: nobody there whose mounts could be looked at
            return False
        identifier = wanted.container.cgroup_id
        if (waiting := self._waiting.get(identifier)) and waiting.assignment.policies == wanted.policies:
            return waiting.ended.is_set()
        failure = self._failed.get(identifier)
        if failure and failure.assignment.policies == wanted.policies:
            return time.monotonic() >= failure.again_at
        applied = self._applied.get(identifier)
        if applied is None or _differs(applied, wanted):
            return True
        is_another = applied.container.pid != wanted.container.pid
        return (is_another or identifier in self._in_turn) and self._enforcer.is_stale(wanted.container)

    def _enforce(self, wanted: Assignment) -> bool:
        container = wanted.container
        before = self._waiting.pop(container.cgroup_id, None)
        times = before.times if before and before.assignment.policies == wanted.policies else 0
        try:
            if times < PATIENCE:
                changed = self._enforcer.enforce(container, wanted.policies)
            else:
                changed = self._enforcer.enforce(container, wanted.policies, wait=True)
        except StillBuilding as error:
            self._waiting[container.cgroup_id] = _Waiting(wanted, error.ended, times + 1)
            return False
        except BulkheadError as error:
            self._note_failure(wanted, error)
            return False
        self._failed.pop(container.cgroup_id, None)
        self._applied[container.cgroup_id] = wanted
        return changed

    def _note_failure(self, wanted: Assignment, error: BulkheadError) -> None:
        container = wanted.container
        gone = container.pid is not None and not mount_namespace(container.pid)
        if not gone and container.cgroup.exists():
            self.counts.failures += 1
            log.error("container_failed", container=container.name, error=str(error))
        again_at = time.monotonic() + (0 if gone else RETRY_S)
        self._failed[container.cgroup_id] = Failure(wanted, str(error), again_at, passing=gone)

    def _release_all(self, held: Iterable[Container], present: set[int], of_node: bool) -> int:
        over = [each for each in held if each.of_node is of_node and each.cgroup_id not in present]
        return sum(self._release(each) for each in over if self._source.is_over(each))

    def _release(self, container: Container) -> bool:
        if not self._enforcer.release(container.cgroup_id):
            return False
        log.info("container_released", container=container.name)
        return True

    def _forget_all_but(self, present: set[int]) -> None:
        for known in (self._applied, self._failed, self._waiting):
            for identifier in known.keys() - present:
                del known[identifier]


def _differs(applied: Assignment, wanted: Assignment) -> bool:
    """Whether more than the process that stands for the container has changed."""
    if applied is wanted:
        return False
    old, new = applied.container, wanted.container
    names = (old.name, old.labels, old.workload, old.image) != (new.name, new.labels, new.workload, new.image)
    return names or old.alone != new.alone or applied.policies != wanted.policies
