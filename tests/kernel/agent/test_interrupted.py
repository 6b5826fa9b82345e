"""An agent that dies at the worst moment: what was in force stays, and the next agent clears up what was begun.

Dying is a forked child that ends in the middle, so that nothing is undone; its maps and records are ours.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkhead.enforcement.bindings import Bindings
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.errors import Damaged, KernelUnable
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import Instance, load_instance, remove_instance
from bulkhead.kernel.maps import Map
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from tests.kernel.enforcement.box import policy, rules_of

PINS = Path("/sys/fs/bpf/interrupted-test")
PROGRAMS = ("/usr/bin/id", "/usr/bin/uname")
ADDRESSES = ("127.0.0.2", "127.0.0.3")
OLD, NEW = [list(each) for each in zip(PROGRAMS, ADDRESSES, strict=True)]  # what each policy denies
DENY = """
  exec:
    rules: [{{name: r, action: Deny, paths: [{program}]}}]
  network:
    egress:
      rules: [{{name: n, action: Deny, to: [{{cidr: {cidr}}}], ports: [{{protocol: UDP, port: 9}}]}}]
"""
DENY_OLD = policy(DENY.format(program=OLD[0], cidr=f"{OLD[1]}/32"))
DENY_NEW = policy(DENY.format(program=NEW[0], cidr=f"{NEW[1]}/32"))

# What an agent does, in this order, before a ruling takes effect: it dies when it is about to do it.
MOMENTS: dict[str, tuple[type, str]] = {
    "the set is recorded": (Records, "write_set"),
    "the container is recorded": (Records, "write_container"),
    "its cgroups are bound": (Bindings, "bind"),
    "its packets are judged": (Instance, "attach_cgroup"),
    "the ruling is written": (Map, "put"),
}


class Agent:
    """The part of an agent that enforces, with pins and records that outlive it; one cgroup to put under policies."""

    def __init__(self, cgroup: cgroups.Cgroup, state: Path) -> None:
        self.cgroup, self.state = cgroup, state
        self.restart()

    def restart(self) -> None:
        """Another agent starts."""
        self.instance = self.load()
        self.enforcer = Enforcer(self.instance, Records(self.state))
        self.adopted = self.enforcer.adopt()

    def load(self) -> Instance:
        """What is pinned; loaded where nothing is."""
        return load_instance(bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles")), PINS)

    def enforce(self, text: str) -> bool:
        """Put the cgroup under a policy."""
        container = Container("c", self.cgroup.path, self.cgroup.id)
        return self.enforcer.enforce(container, rules_of(text))

    def die_before(self, moment: str, text: str) -> None:
        """Put it under a policy, and die on the way."""
        owner, name = MOMENTS[moment]
        if os.fork() == 0:
            before(owner, name, lambda it: os._exit(9) if getattr(it, "name", "containers") == "containers" else None)
            self.enforce(text)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 9, "it did not come to this"
        self.instance.close()

    def denied(self) -> list[str]:
        """Which programs the workload cannot run, and which addresses it cannot send to."""
        acts = {each: f"{each} >/dev/null" for each in PROGRAMS} | {
            each: f"echo > /dev/udp/{each}/9" for each in ADDRESSES
        }
        script = "\n".join(f"( {act} ) 2>/dev/null || echo {name}" for name, act in acts.items())
        join = f"echo $$ > {self.cgroup.path}/cgroup.procs || exit 99\n{script}\ntrue"
        return subprocess.run(["bash", "-c", join], check=True, capture_output=True, text=True).stdout.split()

    def left(self) -> dict[str, int]:
        """What is in maps and records, by name; nothing that is empty."""
        entries = {name: len(list(self.instance.maps[name])) for name in ("anchors", "prefixes", "ports", "counters")}
        entries["rulings"] = sum(any(value) for _, value in self.instance.maps["containers"].items())
        entries["records"] = len(list(self.state.glob("*/*.json")))
        entries["cgroup pins"] = len(list((PINS / "cgroups").iterdir()))
        return {name: count for name, count in entries.items() if count}


def before(owner: type, name: str, act: Callable[[object], None]) -> None:
    """Let a method do something else first."""
    method = getattr(owner, name)

    def instead(self: object, *arguments: object) -> object:
        act(self)
        return method(self, *arguments)

    setattr(owner, name, instead)


@pytest.fixture(scope="module")
def cgroup() -> Iterator[cgroups.Cgroup]:
    """The workload's."""
    made = cgroups.create(cgroups.mount_point() / "interrupted-test")
    yield made
    cgroups.remove(made.path)


@pytest.fixture(scope="module")
def agent(cgroup: cgroups.Cgroup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """One agent for all tests: each ends with nothing in force."""
    made = Agent(cgroup, tmp_path_factory.mktemp("state"))
    yield made
    made.instance.close()
    remove_instance(PINS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_dying_before_a_first_policy_is_in_force(agent: Agent, moment: str) -> None:
    """Nothing is half in force, nothing is left, and the next agent puts it in force."""
    agent.die_before(moment, DENY_OLD)
    assert agent.denied() == []
    agent.restart()
    assert agent.adopted == ()
    assert agent.left() == {}
    assert agent.enforce(DENY_NEW)
    assert agent.denied() == NEW
    agent.enforcer.release(agent.cgroup.id)
    assert agent.left() == {}
    assert agent.denied() == []


@pytest.mark.parametrize("moment", ["the container is recorded", "the ruling is written"])
def test_dying_before_another_policy_is_in_force(agent: Agent, moment: str) -> None:
    """The old one is, whole: while nobody runs, when it is adopted, and until the new one takes its place."""
    agent.enforce(DENY_OLD)
    agent.die_before(moment, DENY_NEW)
    assert agent.denied() == OLD
    agent.restart()
    assert len(agent.adopted) == 1
    assert agent.denied() == OLD
    assert agent.enforce(DENY_NEW)
    assert agent.denied() == NEW
    agent.enforcer.release(agent.cgroup.id)
    assert agent.left() == {}


def test_what_cannot_be_put_in_force_is_undone(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cgroup that takes no programs: neither half of its policy is in force, and it can be tried again."""

    def refuse(*_: object) -> None:
        raise KernelUnable("no more programs fit")

    with monkeypatch.context() as patch:
        patch.setattr(Instance, "attach_cgroup", refuse)
        with pytest.raises(KernelUnable, match="no more programs fit"):
            agent.enforce(DENY_OLD)
    assert agent.left() == {}
    assert agent.denied() == []
    assert agent.enforce(DENY_OLD)
    assert agent.denied() == OLD
    agent.enforcer.release(agent.cgroup.id)


def test_a_cgroup_that_went_takes_everything_along(agent: Agent) -> None:
    """Counters, anchors, pins and records, also where the cgroup went before the agent noticed."""
    gone = cgroups.create(agent.cgroup.path / "gone")
    agent.enforcer.enforce(Container("g", gone.path, gone.id), rules_of(DENY_OLD))
    script = f"echo $$ > {gone.path}/cgroup.procs; {OLD[0]}"
    assert subprocess.run(["bash", "-c", script], check=False, stderr=subprocess.DEVNULL).returncode == 126
    assert agent.left().keys() >= {"anchors", "counters", "records", "cgroup pins", "rulings", "prefixes", "ports"}
    cgroups.remove(gone.path)
    agent.enforcer.release(gone.id)
    assert agent.left() == {}


def test_records_that_went_are_told(agent: Agent, tmp_path: Path) -> None:
    """Nobody guesses what the numbers in the maps stand for, and what they do goes on."""
    agent.enforce(DENY_OLD)
    with pytest.raises(Damaged, match="1 containers are under policies of which no record is left"):
        Enforcer(agent.load(), Records(tmp_path)).adopt()
    assert agent.denied() == OLD
    agent.enforcer.release(agent.cgroup.id)
