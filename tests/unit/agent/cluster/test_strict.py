"""`start: Strict`: the kernel is told of all containers before it refuses what it was not told of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from bulkhead.agent.cluster import strict
from bulkhead.agent.cluster.pods import Pod, PodContainer
from bulkhead.agent.cluster.starting import FailurePolicy
from bulkhead.errors import DoesNotFit
from bulkhead.node import kubepods
from bulkhead.node.kubepods import whole
from tests.unit.agent.cluster.objects import CONTAINER, UID, policy
from tests.unit.agent.cluster.test_starting import Node, ask
from tests.unit.node.nri.runtime import Runtime, start_of

OTHER = "c" * 64
SANDBOX = "5" * 64
STRICT = {"metadata": {"name": "shop", "labels": {"bulkhead.dev/start": "Strict"}}}
LAX: dict[str, Any] = {"metadata": {"name": "shop", "labels": {}}}
WEB = PodContainer("web", CONTAINER)
START = start_of("web", uid=UID, container=CONTAINER)


@pytest.fixture(autouse=True)
def plain_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's inode number stands for a cgroup's id."""
    for module in (kubepods, strict):
        monkeypatch.setattr(module, "cgroup_id", lambda path: path.stat().st_ino)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """One container is there, of a pod that no policy selects unless a test says otherwise."""
    made = Node(tmp_path, FailurePolicy.FAIL)
    made.make_cgroup()
    return made


def cgroup(node: Node, *names: str) -> int:
    """The id of a cgroup below that of all pods."""
    return int(node.cgroups.joinpath("kubepods", *names).stat().st_ino)


def run(node: Node, script: Callable[[Runtime], Awaitable[None]]) -> None:
    """Ask as a runtime that has nothing else."""
    ask(node, script)


@pytest.mark.parametrize("selected", [True, False])
def test_a_container_is_told_of_before_it_starts(node: Node, selected: bool) -> None:
    """Whether a policy selects it or not; the request names the cgroup of all pods, and comes after it."""
    node.list(Namespace=[STRICT], SecurityPolicy=[policy()] if selected else [])

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", START)).status.code
        assert node.starts.allowed == [cgroup(node, f"pod{UID}", CONTAINER)]
        assert node.enforced.names == (["shop/web-0/web"] if selected else [])

    run(node, script)
    assert node.starts.order is not None
    assert node.starts.order.below == cgroup(node)
    assert node.starts.first == node.starts.allowed
    standing = node.strict.asked()
    assert standing
    assert (standing.holds, standing.failure) == (True, "")


def test_where_nobody_asks_the_kernel_is_told_nothing(node: Node) -> None:
    """The control; a label of another value asks for nothing."""
    node.list(Namespace=[{"metadata": {"name": "shop", "labels": {"bulkhead.dev/start": "Lax"}}}])

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", START)).status.code

    run(node, script)
    assert (node.starts.allowed, node.starts.order, node.strict.asked()) == ([], None, None)


def test_what_is_not_in_force_is_not_told(node: Node) -> None:
    """It may not start; when it may, under another id, that is told."""
    node.list(Namespace=[STRICT], SecurityPolicy=[policy()])
    node.make_cgroup(container=OTHER)
    node.enforced.full = True

    async def script(runtime: Runtime) -> None:
        assert (await runtime.call("StartContainer", START)).status.code
        assert node.starts.allowed == []
        node.enforced.full = False
        node.state.change("SecurityPolicy", "MODIFIED", policy(generation=2))
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container=OTHER))).status.code
        assert cgroup(node, f"pod{UID}", OTHER) in node.starts.allowed

    run(node, script)


@pytest.mark.parametrize(("asked_by", "starts"), [("shop", False), ("elsewhere", True)])
def test_with_ignore_only_namespaces_that_ask_are_strict(tmp_path: Path, asked_by: str, starts: bool) -> None:
    """There what cannot be enforced does not start; elsewhere it does, and the kernel is told so."""
    node = Node(tmp_path, FailurePolicy.IGNORE)
    node.make_cgroup()
    namespace = {"metadata": {"name": asked_by, "labels": {"bulkhead.dev/start": "Strict"}}}
    node.list(Namespace=[LAX, namespace] if asked_by != "shop" else [namespace], SecurityPolicy=[policy()])
    node.enforced.full = True

    async def script(runtime: Runtime) -> None:
        assert (not (await runtime.call("StartContainer", START)).status.code) is starts
        assert bool(node.starts.allowed) is starts

    run(node, script)


def test_a_namespace_that_asks_no_more_ends_it(node: Node) -> None:
    """With the last one."""
    node.list(Namespace=[STRICT])

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", START)).status.code
        node.state.change("Namespace", "MODIFIED", LAX)
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container=OTHER))).status.code

    run(node, script)
    assert node.starts.order is None
    assert node.strict.asked() is None


def test_a_container_that_cannot_be_told_does_not_start(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """The map is full: the reason is in the node's condition, and the runtime is answered in time."""
    node.list(Namespace=[STRICT])

    def full(_: object) -> None:
        raise DoesNotFit("entries of map known", 2, 1)

    monkeypatch.setattr(node.starts, "allow", full)

    async def script(runtime: Runtime) -> None:
        assert "not in force within" in (await runtime.call("StartContainer", START)).status.message

    ask(node, script, timeout_ms=500)
    standing = node.strict.asked()
    assert standing
    assert not standing.holds
    assert "map known" in standing.failure


def test_without_a_runtime_that_asks_nothing_is_asked_for(node: Node) -> None:
    """Nobody could be told of in time; an earlier request stays, its signs end."""
    node.list(Namespace=[STRICT])
    node.sync.step()
    assert node.strict.asked() == strict.Standing("", strict.UNASKED, 60.0)
    assert node.starts.order is None


def test_before_the_api_server_has_told_anything_nothing_changes(node: Node) -> None:
    """What an earlier agent asked for goes on."""
    node.starts.order = earlier = object()  # type: ignore[assignment]
    node.sync.step()
    assert node.starts.order is earlier


@pytest.mark.parametrize("runs", [True, False])
def test_what_runs_goes_on_whatever_becomes_of_its_policies(node: Node, runs: bool) -> None:
    """It was there before anybody asked. One that is made only is told of when it is under its policies."""
    node.list(Namespace=[STRICT], SecurityPolicy=[policy()])
    node.enforced.full = True
    told = [(Pod(uid=UID, cgroup_uid=UID, namespace="shop", name="web-0", labels={"app": "web"}), WEB)]
    version = node.state.announce_all(told)
    node.strict.taken_in(strict.Told(version, 1, frozenset(), frozenset({CONTAINER} if runs else ())))
    node.sync.step()
    assert node.starts.allowed == ([cgroup(node, f"pod{UID}", CONTAINER)] if runs else [])


def test_what_was_let_go_before_it_was_asked_for_goes_on(tmp_path: Path) -> None:
    """With Ignore it started without its policies; a namespace that asks later does not end it."""
    node = Node(tmp_path, FailurePolicy.IGNORE)
    node.make_cgroup()
    node.list(Namespace=[LAX], SecurityPolicy=[policy()])
    node.enforced.full = True

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", START)).status.code
        node.state.change("Namespace", "MODIFIED", STRICT)
        other = start_of("other", "db-0", uid=UID, container=OTHER)
        node.make_cgroup(container=OTHER)
        await runtime.call("StartContainer", other)
        assert cgroup(node, f"pod{UID}", CONTAINER) in node.starts.allowed
        assert cgroup(node, f"pod{UID}", OTHER) not in node.starts.allowed

    run(node, script)


def test_a_container_that_came_after_the_look_waits_for_the_next(node: Node) -> None:
    """Else it would be known before it was looked at whether a policy selects it."""
    node.list(Namespace=[STRICT], SecurityPolicy=[policy()])
    node.strict.taken_in(strict.Told(0, 1, frozenset()))
    node.source.read()
    node.state.announce(Pod(UID, UID, "shop", "web-0", {"app": "web"}), WEB)
    node.strict.step(node.starts, node.sync)  # type: ignore[arg-type]
    assert node.starts.allowed == []
    node.sync.step()
    assert node.starts.allowed == [cgroup(node, f"pod{UID}", CONTAINER)]


def test_when_the_runtime_is_gone_and_the_lapse_has_passed_it_holds_no_more(node: Node) -> None:
    """What is said of it is what is so in the kernel, and why."""
    node.list(Namespace=[STRICT])
    node.strict.taken_in(strict.Told(0, 1, frozenset()))
    node.start(UID, CONTAINER)
    held = node.strict.asked()
    assert held
    assert (held.holds, held.failure) == (True, "")
    node.strict.cast_out()
    node.sync.step()
    assert node.strict.asked() == strict.Standing(held.since, strict.UNASKED, 60.0)
    node.starts.lapsed = True
    node.sync.step()
    assert node.strict.asked() == strict.Standing("", strict.UNASKED, 60.0)


def test_since_when_is_what_the_kernel_keeps(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that starts later says the same as the one before it; worked out once, or it would differ by seconds."""
    monkeypatch.setattr(strict.time, "clock_gettime_ns", lambda _: 61 * strict.NANOSECONDS + 1)  # it began at 1
    monkeypatch.setattr(strict, "ago", lambda passed_s: f"{passed_s:g} s ago")
    node.list(Namespace=[STRICT])
    node.strict.taken_in(strict.Told(0, 1, frozenset()))
    for _ in range(2):
        node.start(UID, CONTAINER)
        assert node.strict.standing.since == "61 s ago"
        monkeypatch.setattr(strict.time, "clock_gettime_ns", lambda _: 99 * strict.NANOSECONDS)


@pytest.mark.parametrize(("sandbox", "expected"), [(SANDBOX, True), (OTHER, False)])
def test_whether_pods_have_a_sandbox_is_seen(node: Node, sandbox: str, expected: bool) -> None:
    """A runtime that makes none must not have a first container let start."""
    node.make_cgroup(container=SANDBOX)
    node.strict.taken_in(strict.Told(0, 1, frozenset({(UID, sandbox)})))
    node.list(Namespace=[STRICT])
    node.start(UID, CONTAINER)
    assert node.starts.order is not None
    assert node.starts.order.sandboxes is expected


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("kubepods/besteffort/pod1/c", "kubepods"),
        ("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/c.scope", "kubepods.slice"),
        ("kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/c", "kubelet.slice/kubelet-kubepods.slice"),
        ("system.slice/kubelet.service", None),
    ],
)
def test_the_cgroup_of_all_pods_is_known_by_its_name(path: str, found: str | None) -> None:
    """Whatever the driver, and below whatever a nested kubelet has."""
    root = Path("/sys/fs/cgroup")
    assert whole(root / path) == (root / found if found else None)
