"""A container's start is held until it is under its policies: a runtime that asks, and an enforcer of ours."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkhead.agent.cluster.pods import Pod, PodContainer
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.starting import FailurePolicy, Starting
from bulkhead.agent.cluster.state import KINDS, ClusterState
from bulkhead.agent.cluster.strict import StrictSettings, StrictStarts
from bulkhead.agent.sync import Sync
from bulkhead.enforcement.starts import Order
from bulkhead.errors import DoesNotFit
from bulkhead.node import kubepods
from bulkhead.node.container import Container
from bulkhead.node.kubepods import ContainerCgroups
from bulkhead.policy.rules import PolicyRules
from tests.unit.agent.cluster.objects import CONTAINER, UID, cluster_policy, pod, policy
from tests.unit.node.nri.runtime import Runtime, listening, start_of


class Enforced:
    """An enforcer that remembers; it refuses while `full` is set."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.counts: list[int] = []  # of policies
        self.full = False

    def enforce(self, container: Container, policies: tuple[PolicyRules, ...]) -> bool:
        if self.full:
            raise DoesNotFit("slots of path automata", 2, 1)
        self.names.append(container.name)
        self.counts.append(len(policies))
        return True

    def containers(self) -> tuple[Container, ...]:
        return ()

    def is_stale(self, container: Container) -> bool:
        return False


class Starts:
    """The kernel's side of strict starts, remembered. What is asked for outlives whoever asked."""

    def __init__(self) -> None:
        self.allowed: list[int] = []
        self.order: Order | None = None
        self.first: list[int] = []  # what was allowed before it was asked for
        self.lapsed = False

    def allow(self, cgroup_ids: Iterable[int]) -> None:
        self.allowed += cgroup_ids

    def ask(self, order: Order) -> None:
        if self.order is None:
            self.first = list(self.allowed)
        self.order = order

    def ask_no_more(self) -> None:
        self.order = None

    def since_ns(self) -> int:
        return 1 if self.order and not self.lapsed else 0


class Node:
    """What an agent has, with a folder for the cgroup hierarchy, and a runtime that talks to it."""

    def __init__(self, folder: Path, failure_policy: FailurePolicy) -> None:
        self.socket = folder / "nri.sock"
        self.state = ClusterState(folder / "accepted")
        self.source = ClusterSource(self.state, ContainerCgroups(folder / "cgroup"))
        self.enforced = Enforced()
        self.sync = Sync(self.enforced, self.source)  # type: ignore[arg-type]
        ignores = failure_policy is FailurePolicy.IGNORE
        self.strict = StrictStarts(StrictSettings(folder / "cgroup", folder, 60.0, ignores), self.state, self.source)
        self.starts = Starts()
        self.sync.on_step(lambda: self.strict.step(self.starts, self.sync))  # type: ignore[arg-type]
        self.starting = Starting(self.socket, failure_policy, self.state, self.source, self.strict)
        self.cgroups = folder / "cgroup"
        self._stopping = threading.Event()

    def list(self, **objects: list[dict[str, object]]) -> None:
        """What the API server tells at first."""
        for kind in KINDS:
            self.state.replace(kind, objects.get(kind, []))

    def make_cgroup(self, uid: str = UID, container: str = CONTAINER) -> None:
        """With this process in it."""
        folder = self.cgroups / f"kubepods/pod{uid}/{container}"
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text("1\n")

    def start(self, uid: str, container: str) -> None:
        """A container that no policy selects, without a runtime; what is looked at is looked at once."""
        self.state.announce(
            Pod(uid=uid, cgroup_uid=uid, namespace="shop", name="web-0"), PodContainer("web", container)
        )
        self.sync.step()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The two threads of the agent that take part."""
        threads = [threading.Thread(target=self._look), threading.Thread(target=self.starting.run, args=(self.sync,))]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            self.state.changed.set()
            self.starting.stop()
            for thread in threads:
                thread.join()

    def _look(self) -> None:
        while not self._stopping.is_set():
            self.state.changed.clear()
            self.sync.step()
            self.state.changed.wait(0.5)


@pytest.fixture(autouse=True)
def plain_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's inode number stands for a cgroup's id."""
    monkeypatch.setattr(kubepods, "cgroup_id", lambda path: path.stat().st_ino)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path, FailurePolicy.FAIL)


def ask(node: Node, script: Callable[[Runtime], Awaitable[None]], timeout_ms: int = 10_000) -> None:
    """Let a runtime that listens already take the agent in and do as the script says."""

    async def talk() -> None:
        async with listening(node.socket) as came:
            with node.running():
                runtime = await came.get()
                await runtime.take_in(timeout_ms=timeout_ms)
                await script(runtime)

    asyncio.run(talk())


@pytest.mark.parametrize("known", [True, False], ids=["known", "not known yet"])
def test_a_selected_container_starts_when_it_is_enforced(node: Node, known: bool) -> None:
    """Also where the API server has not told of the pod: then its labels are those that the runtime knows."""
    node.list(Pod=[pod(containers={"other": "b" * 64})] if known else [], SecurityPolicy=[policy()])
    node.make_cgroup()

    async def script(runtime: Runtime) -> None:
        answer = await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))
        assert answer.status.code == 0, answer
        assert node.enforced.names == ["shop/web-0/web"]

    ask(node, script)


def test_a_container_that_nothing_selects_starts(node: Node) -> None:
    """Its labels are not the policy's."""
    node.list(Pod=[pod(labels={"app": "db"})], SecurityPolicy=[policy()])
    node.make_cgroup()

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))).status.code
        assert node.enforced.names == []

    ask(node, script)


def test_a_container_whose_policies_do_not_fit_is_refused_and_starts_when_they_do(node: Node) -> None:
    """The reason is in the answer, which the kubelet shows."""
    node.list(SecurityPolicy=[policy()])
    node.make_cgroup()
    node.enforced.full = True

    async def script(runtime: Runtime) -> None:
        about = start_of("web", uid=UID, container=CONTAINER)
        answer = await runtime.call("StartContainer", about)
        assert answer.status.code == 9
        assert "shop/web-0/web" in answer.status.message
        assert "slots of path automata" in answer.status.message
        node.enforced.full = False
        node.state.change("SecurityPolicy", "MODIFIED", policy(generation=2))
        await runtime.call("RemoveContainer", about)
        again = start_of("web", uid=UID, container="c" * 64)
        node.make_cgroup(container="c" * 64)
        assert not (await runtime.call("StartContainer", again)).status.code
        assert "shop/web-0/web" in node.enforced.names

    ask(node, script)


def test_with_ignore_it_starts_all_the_same(tmp_path: Path) -> None:
    """For who would rather have an unguarded container than none."""
    node = Node(tmp_path, FailurePolicy.IGNORE)
    node.list(SecurityPolicy=[policy()])
    node.make_cgroup()
    node.enforced.full = True

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))).status.code

    ask(node, script)


def test_a_container_without_a_cgroup_where_one_should_be_is_refused(node: Node) -> None:
    """A layout that we do not know must not become a hole."""
    node.list(SecurityPolicy=[policy()])

    async def script(runtime: Runtime) -> None:
        answer = await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))
        assert "its cgroup was not found" in answer.status.message

    ask(node, script)


def test_before_the_api_server_has_told_anything_containers_start(node: Node) -> None:
    """The node's own components could not start else; the limit is the runtime's."""

    async def script(runtime: Runtime) -> None:
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))).status.code

    ask(node, script, timeout_ms=100)


@pytest.mark.parametrize("labels", ["front", "back"])
def test_a_start_waits_for_the_labels_of_its_namespace(node: Node, labels: str) -> None:
    """They may be told after the namespace's first container is made; then they decide. What is known holds before."""
    node.list(ClusterSecurityPolicy=[cluster_policy()], SecurityPolicy=[policy()])
    node.make_cgroup()

    async def script(runtime: Runtime) -> None:
        asked = asyncio.create_task(runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER)))
        while not node.sync.applied():
            await asyncio.sleep(0.01)
        assert not asked.done()
        node.state.change("Namespace", "ADDED", {"metadata": {"name": "shop", "labels": {"tier": labels}}})
        assert not (await asked).status.code
        assert node.enforced.counts == ([1, 2] if labels == "front" else [1])

    ask(node, script)


def test_a_start_is_refused_where_the_labels_do_not_come(node: Node) -> None:
    """The answer says what is missing. A pod of which a policy says nothing in any case starts meanwhile."""
    node.list(ClusterSecurityPolicy=[cluster_policy()], Node=[{"metadata": {"name": "vm0"}}])
    node.make_cgroup()
    node.make_cgroup(container="c" * 64)

    async def script(runtime: Runtime) -> None:
        answer = await runtime.call("StartContainer", start_of("web", uid=UID, container=CONTAINER))
        assert "the labels of namespace shop are not known yet" in answer.status.message
        node.state.change("ClusterSecurityPolicy", "DELETED", cluster_policy())
        assert not (await runtime.call("StartContainer", start_of("web", uid=UID, container="c" * 64))).status.code

    ask(node, script, timeout_ms=500)


def test_a_runtime_that_comes_later_is_found(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that was restarted."""
    monkeypatch.setattr("bulkhead.agent.cluster.starting.RECONNECT_S", 0.01)

    async def talk() -> None:
        with node.running():
            async with listening(node.socket) as came:
                for _ in range(2):
                    runtime = await came.get()
                    await runtime.take_in()
                    runtime.hang_up()

    asyncio.run(talk())
