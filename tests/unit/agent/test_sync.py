"""A container whose policy set is being built keeps nobody waiting, and what it had."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from bulkhead.agent.source import Assignment
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.errors import DoesNotFit, StillBuilding
from bulkhead.node.container import Container
from bulkhead.node.turns import Turns
from bulkhead.policy.rules import PolicyRules


class SlowEnforcer:
    """Builds the sets of some containers beside the caller; `calls` are the cgroup ids that it was asked for."""

    def __init__(self, slow: int) -> None:
        self.slow = slow
        self.adopted: tuple[Container, ...] = ()
        self.ended = threading.Event()
        self.refusal: DoesNotFit | None = None
        self.calls: list[int] = []
        self.restless = False  # its mounts have changed whenever it is looked at

    def containers(self) -> tuple[Container, ...]:
        """What an earlier process left behind."""
        return self.adopted

    def enforce(self, container: Container, policies: object, *, wait: bool = False) -> bool:
        """As `Enforcer`."""
        self.calls.append(container.cgroup_id)
        if container.cgroup_id == self.slow and not wait:
            if self.restless:
                raise StillBuilding(10_000, self.ended)
            if not self.ended.is_set():
                raise StillBuilding(10_000, self.ended)
            if self.refusal:
                raise self.refusal
        return True

    def is_stale(self, container: Container) -> bool:
        """Never."""
        return False


class Said:
    """A source of assignments."""

    def __init__(self, *assignments: Assignment) -> None:
        self.assignments = assignments

    def read(self) -> tuple[Assignment, ...]:
        """Them."""
        return self.assignments

    def spared(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def is_over(self, container: Container) -> bool:
        """Always."""
        return True


def _assignment(path: Path, cgroup_id: int, *policies: PolicyRules) -> Assignment:
    return Assignment(Container(f"shop/web-{cgroup_id}/web", path, cgroup_id, pid=os.getpid()), policies)


def test_others_are_enforced_while_a_set_is_built(tmp_path: Path) -> None:
    """It is asked for again when it is ready and not before; until then the agent is not ready."""
    enforcer = SlowEnforcer(slow=1)
    sync = Sync(cast(Enforcer, enforcer), Said(_assignment(tmp_path, 1), _assignment(tmp_path, 2)))
    assert sync.step() == 1
    assert sync.step() == 0
    assert (enforcer.calls, set(sync.applied())) == ([1, 2], {2})
    assert not sync.synced.is_set()
    enforcer.ended.set()
    assert sync.step() == 1
    assert set(sync.applied()) == {1, 2}
    assert sync.synced.is_set()
    assert sync.failures() == ()


def test_a_refusal_is_told_when_building_ends_with_it(tmp_path: Path) -> None:
    """As one that is found at once."""
    enforcer = SlowEnforcer(slow=1)
    enforcer.refusal = DoesNotFit("states", 2, 1)
    sync = Sync(cast(Enforcer, enforcer), Said(_assignment(tmp_path, 1)))
    sync.step()
    assert sync.failures() == ()
    enforcer.ended.set()
    sync.step()
    (failure,) = sync.failures()
    assert "the limit is 1" in failure.reason
    assert sync.synced.is_set()


def test_a_newer_policy_does_not_wait_for_the_older_one(tmp_path: Path) -> None:
    """What is built already is not what is wanted any more."""
    enforcer = SlowEnforcer(slow=1)
    source = Said(_assignment(tmp_path, 1))
    sync = Sync(cast(Enforcer, enforcer), source)
    sync.step()
    source.assignments = (_assignment(tmp_path, 1, PolicyRules()),)
    sync.step()
    assert enforcer.calls == [1, 1]


def test_a_container_that_starts_waits_for_one_turn_and_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many that have changed, some are looked at, then it, then the others; ready is who has done them all."""
    monkeypatch.setattr("bulkhead.agent.sync.TURN_S", 0.0)
    changed = [_assignment(tmp_path, number) for number in (1, 2, 3)]
    enforcer, source = SlowEnforcer(slow=0), Said(*changed)
    enforcer.adopted = tuple(each.container for each in changed)
    sync = Sync(cast(Enforcer, enforcer), source)
    assert (sync.step(), sync.unfinished, sync.synced.is_set()) == (1, True, False)
    source.assignments = (*changed, _assignment(tmp_path, 4))
    assert [sync.step() for _ in range(3)] == [1, 1, 1]
    assert (enforcer.calls, sync.unfinished, sync.synced.is_set()) == ([1, 4, 2, 3], False, True)
    assert sync.counts.changes == 4


def test_a_container_that_goes_meanwhile_is_forgotten(tmp_path: Path) -> None:
    """Nobody waits for its set."""
    source = Said(_assignment(tmp_path, 1))
    sync = Sync(cast(Enforcer, SlowEnforcer(slow=1)), source)
    sync.step()
    source.assignments = ()
    sync.step()
    assert sync.synced.is_set()


def test_a_container_that_keeps_mounting_does_not_put_its_policy_off(tmp_path: Path) -> None:
    """Whatever was built is not what is needed any more: after two times it is waited for."""
    enforcer = SlowEnforcer(slow=1)
    enforcer.restless = True
    enforcer.ended.set()
    sync = Sync(cast(Enforcer, enforcer), Said(_assignment(tmp_path, 1)))
    assert [sync.step() for _ in range(3)] == [0, 0, 1]
    assert sync.synced.is_set()


class LingeringEnforcer:
    """Has a container whose cgroup is gone and cannot be released while somebody lives who left it."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.somebody_lives = True

    def containers(self) -> tuple[Container, ...]:
        """It."""
        return (self.container,)

    def release(self, cgroup_id: int) -> bool:
        """As `Enforcer`."""
        assert cgroup_id == self.container.cgroup_id
        return not self.somebody_lives


def test_a_container_that_cannot_be_released_yet_is_asked_about_again(tmp_path: Path) -> None:
    """And counts as changed when it has been."""
    enforcer = LingeringEnforcer(_assignment(tmp_path, 1).container)
    sync = Sync(cast(Enforcer, enforcer), Said())
    assert [sync.step(), sync.step()] == [0, 0]
    enforcer.somebody_lives = False
    assert sync.step() == 1


UNKNOWN = "the labels of namespace shop are not known yet"


def _unsure(known: Assignment, *policies: PolicyRules) -> Said:
    return Said(Assignment(known.container, policies, UNKNOWN))


def test_what_is_known_holds_while_more_may(tmp_path: Path) -> None:
    """The container is behind, with the reason, and it is not once the rest is known, though nothing had to be done."""
    known = _assignment(tmp_path, 1, PolicyRules("shop", "web"))
    enforcer = SlowEnforcer(slow=2)
    source = _unsure(known, *known.policies)
    sync = Sync(cast(Enforcer, enforcer), source)
    assert [sync.step(), sync.step()] == [1, 0]
    assert set(sync.applied()) == {1}
    assert [(each.assignment.container.cgroup_id, each.reason) for each in sync.failures()] == [(1, UNKNOWN)]
    source.assignments = (known,)
    assert sync.step() == 0
    assert sync.failures() == ()
    assert enforcer.calls == [1]


def test_what_is_not_known_at_all_binds_nothing(tmp_path: Path) -> None:
    """A container that may be under a policy or under none is put under nothing, and is behind."""
    enforcer = SlowEnforcer(slow=2)
    sync = Sync(cast(Enforcer, enforcer), _unsure(_assignment(tmp_path, 1)))
    assert sync.step() == 0
    assert (enforcer.calls, len(sync.failures())) == ([], 1)


def test_what_an_earlier_agent_enforced_is_not_loosened(tmp_path: Path) -> None:
    """It may have known more; once everything is known, that counts."""
    known = _assignment(tmp_path, 1, PolicyRules("shop", "web"))
    enforcer = SlowEnforcer(slow=2)
    enforcer.adopted = (known.container,)
    source = _unsure(known, *known.policies)
    sync = Sync(cast(Enforcer, enforcer), source)
    assert sync.step() == 0
    assert (enforcer.calls, len(sync.failures())) == ([], 1)
    source.assignments = (known,)
    assert sync.step() == 1
    assert sync.failures() == ()


class Changing:
    """An enforcer that notes in which order things are done."""

    def __init__(self, held: Container) -> None:
        self.held = held
        self.done: list[str] = []

    def containers(self) -> tuple[Container, ...]:
        """One."""
        return (self.held,)

    def enforce(self, container: Container, policies: object) -> bool:
        """As `Enforcer`."""
        self.done.append(f"enforce {container.name}")
        return True

    def release(self, cgroup_id: int) -> bool:
        """As `Enforcer`."""
        self.done.append(f"release {cgroup_id}")
        return True

    def spare(self, cgroups: tuple[Path, ...]) -> None:
        """As `Enforcer`."""
        self.done.append(f"spare {cgroups[0]}")


@pytest.mark.parametrize("of_node", [False, True])
def test_cgroups_of_a_node_are_never_without_what_takes_their_place(tmp_path: Path, of_node: bool) -> None:
    """A slice that is one again: bound with all below, then its services are released, and pods let go."""
    held = Container("/system.slice/ssh.service", tmp_path, 1, of_node=of_node)
    enforcer = Changing(held)
    source = Said(Assignment(Container("/system.slice", tmp_path, 2, pid=1, of_node=True), ()))
    source.spared = lambda: (Path("/pods"),)  # type: ignore[method-assign]
    assert Sync(cast(Enforcer, enforcer), source).step() == 2
    order = ["enforce /system.slice", "release 1"]
    assert enforcer.done == [*(order if of_node else reversed(order)), "spare /pods"]


class Restless(SlowEnforcer):
    """Each container's mounts have become others; `asked` are those that were asked about."""

    def __init__(self) -> None:
        super().__init__(slow=0)
        self.asked: list[int] = []

    def is_stale(self, container: Container) -> bool:
        """Always."""
        self.asked.append(container.cgroup_id)
        return True


def test_mounts_are_looked_at_by_turns(tmp_path: Path) -> None:
    """One of two containers a turn; at once where another process stands for it."""
    enforcer, said = Restless(), [_assignment(tmp_path, 1), _assignment(tmp_path, 2)]
    source = Said(*said)
    sync = Sync(cast(Enforcer, enforcer), source, Turns(1, every_s=0))
    assert sync.step() == 2
    assert enforcer.asked == []
    assert [sync.step() for _ in range(2)] == [1, 1]
    assert enforcer.asked == [2, 1]
    other = replace(said[0], container=replace(said[0].container, pid=1))
    source.assignments = (other, said[1])
    assert sync.step() == 2
    assert enforcer.asked == [2, 1, 1, 2]
