"""`start: Strict`: below the kubelet's cgroup, a container that no agent has told of executes nothing.

A folder stands for the kubelet's cgroup, a container's own root for an image. A runtime's steps are made by hand: join
the cgroup with the node's root, mount, change the root, execute.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkhead.enforcement.starts import Order, Starts
from bulkhead.node import cgroups
from bulkhead.node.cgroups import Cgroup
from bulkhead.node.container import Container
from bulkhead.report.render import to_json
from tests.kernel.enforcement.box import Bench, policy, rules_of

NEVER, AT_ONCE, HOUR_S = 0.0, 1e-9, 3600.0  # of a lapse, seconds
RELEASED_S = 60.0
RUNTIME = """
echo $$ > {cgroup}/cgroup.procs || exit 99
mount --make-rprivate /
mount -t tmpfs none /mnt && mkdir /mnt/usr /mnt/state
mount --rbind /usr /mnt/usr
ln -s usr/lib /mnt/lib; ln -s usr/lib64 /mnt/lib64; ln -s usr/bin /mnt/bin
{mounts}
exec chroot /mnt /usr/bin/id -u
"""


class Node:
    """A kubelet's cgroup with one pod, of which a sandbox is there."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.state = bench, folder
        self.starts = Starts(bench.instance)
        self.kubepods = cgroups.create(cgroups.mount_point() / "kubepods")
        self.pod = cgroups.create(self.kubepods.path / "pod")
        self.sandbox = cgroups.create(self.pod.path / "sandbox")
        self._made = [self.kubepods, self.pod, self.sandbox]

    def container(self, name: str) -> Cgroup:
        """One more cgroup in the pod."""
        self._made.append(cgroups.create(self.pod.path / name))
        return self._made[-1]

    def ask(self, lapse_s: float = NEVER, *, sandboxes: bool = True) -> None:
        """Have unknown containers refused."""
        self.starts.ask(Order(self.kubepods.id, os.getpid(), self.state, lapse_s, sandboxes))

    def start(self, cgroup: Cgroup, mounts: str = "") -> int:
        """What a runtime does; the exit status of the container, 126 where its program could not be executed."""
        script = RUNTIME.format(cgroup=cgroup.path, mounts=mounts)
        command = ["unshare", "--mount", "/bin/bash", "-c", script]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
        assert done.returncode in (0, 126), done
        return done.returncode

    def told(self) -> list[dict[str, Any]]:
        """What was reported since the last call."""
        self.bench.pump.take_over()
        entries = [to_json(entry) for entry in self.bench.kept.entries]
        self.bench.kept.entries.clear()
        return entries

    def counted(self, name: str) -> int:
        """One of the kernel's statistics."""
        return self.bench.instance.statistics()[name]

    def end(self) -> None:
        """Leave nothing behind."""
        self.starts.ask_no_more()
        for each in reversed(self._made):
            cgroups.remove(each.path)


@pytest.fixture
def node(bench: Bench, tmp_path: Path) -> Iterator[Node]:
    """As above."""
    made = Node(bench, tmp_path)
    made.told()
    yield made
    made.end()


def test_an_unknown_container_executes_nothing(node: Node) -> None:
    """Refused and told while it is asked for; the control is the same start before and after."""
    unknown = node.container("c")
    assert node.start(unknown) == 0
    node.ask()
    refused = node.counted("starts_refused")
    assert node.start(unknown) == 126
    assert node.counted("starts_refused") == refused + 1
    node.starts.ask_no_more()
    assert node.start(unknown) == 0
    (told,) = node.told()
    assert (told["verdict"], told["operation"], told["rule"]) == ("DENIED", "Exec", "strict")
    assert told["object"].endswith("/usr/bin/id")
    assert not told.get("pod")


def test_a_known_container_goes_on(node: Node) -> None:
    """It, and cgroups that are made below it; a neighbour that nobody told of does not start."""
    known, unknown = node.container("known"), node.container("unknown")
    node.starts.allow([known.id])
    node.ask()
    assert node.start(known) == 0
    below = cgroups.create(known.path / "below")
    assert node.start(below) == 0
    cgroups.remove(below.path)
    assert node.start(unknown) == 126


def test_a_container_under_a_policy_is_known(node: Node) -> None:
    """By its binding alone, which agents that are away have left."""
    node.ask()
    bound = node.container("bound")
    assert node.start(bound) == 126
    container = Container("bound", bound.path, bound.id, pid=os.getpid())
    node.bench.enforcer.enforce(container, rules_of(policy("  exec: {default: Allow}")))
    assert node.start(bound) == 0
    node.bench.enforcer.release(bound.id)
    assert node.start(bound) == 126


def test_what_is_elsewhere_is_not_asked(node: Node) -> None:
    """The node's own services, and what is next to the kubelet's cgroup."""
    node.ask()
    service = cgroups.create(cgroups.mount_point() / "service")
    assert node.start(service) == 0
    cgroups.remove(service.path)


def test_a_sandbox_starts_and_nothing_else_of_its_pod(node: Node) -> None:
    """What is alone in its pod; not where the runtime makes no sandboxes."""
    node.ask()
    sandbox = node.sandbox
    assert node.start(sandbox) == 0
    node.ask(sandboxes=False)
    assert node.start(sandbox) == 126
    node.ask()
    assert node.start(node.container("c")) == 126


@pytest.mark.parametrize(("folder", "status"), [("{state}", 0), ("{other}", 126)])
def test_whoever_has_the_folder_of_state_starts(node: Node, tmp_path: Path, folder: str, status: int) -> None:
    """The agent itself, whose container no other agent has told of; another folder makes no difference."""
    (tmp_path / "other").mkdir()
    place = folder.format(state=tmp_path, other=tmp_path / "other")
    node.ask()
    agent = node.container("agent")
    assert node.start(agent, f"mount --bind {place} /mnt/state && mount --make-rprivate /mnt/state") == status
    assert node.start(agent) == status  # it need not mount it again


def test_a_container_cannot_exempt_itself(node: Node) -> None:
    """Mounting the folder counts as long as the runtime prepares the container, not from within."""
    node.ask()
    within = f"mount --bind {node.state} /mnt/state"
    assert node.start(node.container("c"), within) == 126


def test_without_a_sign_everything_starts_after_the_lapse(node: Node) -> None:
    """It is counted, told to the next agent, and goes on when signs come again; within the lapse nothing starts."""
    lapsed, late = node.container("lapsed"), node.container("late")
    node.ask(AT_ONCE)
    assert not node.starts.since_ns()
    before = node.counted("starts_lapsed")
    assert node.start(lapsed) == 0
    assert node.counted("starts_lapsed") == before + 1
    node.ask(HOUR_S)
    assert node.start(lapsed) == 0
    assert node.start(late) == 126
    assert node.starts.take_lapsed() == 1
    assert node.starts.take_lapsed() == 0
    assert node.start(lapsed) == 0


def test_what_is_known_of_a_cgroup_goes_with_it(node: Node) -> None:
    """Or the map would fill up."""
    gone = cgroups.create(node.pod.path / "gone")
    known = node.bench.instance.maps["known"]
    node.starts.allow([gone.id])
    assert gone.id.to_bytes(8, "little") in list(known)
    cgroups.remove(gone.path)
    deadline = time.monotonic() + RELEASED_S
    while gone.id.to_bytes(8, "little") in list(known):  # the kernel tells of it a little later
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_another_agent_sees_that_it_is_asked_for(node: Node) -> None:
    """It may be the one that is to end it."""
    node.ask()
    since_ns = node.starts.since_ns()
    other = Starts(node.bench.instance)
    assert other.is_asked()
    node.ask(HOUR_S)
    assert other.since_ns() == since_ns > 0
    other.ask_no_more()
    assert not node.starts.is_asked()
    assert node.start(node.container("c")) == 0
