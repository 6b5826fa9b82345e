"""The plugin's side of the conversation, with a runtime of the tests' own over a real socket."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from bulkhead.errors import Damaged, Unreachable
from bulkhead.node.nri.plugin import EVENTS, REMOVE_CONTAINER, START_CONTAINER, Plugin, StartRefused
from bulkhead.nri.v1alpha1.nri_pb2 import Container, Pod
from tests.unit.node.nri.runtime import Runtime, change_of, listening, start_of


class Kept:
    """Answers that write down what was asked, refuse a container called bad, and hold one called slow."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.go = asyncio.Event()

    def configured(self, runtime: str, timeout_s: float, process: int) -> None:
        assert process == os.getpid()  # the runtime of these tests is this process
        self.heard.append(("configured", runtime, str(timeout_s)))

    def present(self, pods: Sequence[Pod], containers: Sequence[Container]) -> None:
        self.heard.append(("present", *(pod.name for pod in pods), *(each.id for each in containers)))

    async def start(self, pod: Pod, container: Container) -> None:
        if container.name == "bad":
            raise StartRefused("it must not")
        if container.name == "slow":
            await self.go.wait()
        self.heard.append(("start", pod.name, container.name))

    def removed(self, pod: Pod, container: Container) -> None:
        self.heard.append(("removed", pod.name, container.name))


def talk(tmp_path: Path, script: Callable[[Runtime, Kept], Awaitable[None]]) -> list[tuple[str, ...]]:
    """What the answers heard while a runtime did as the script says, and then hung up."""

    async def both() -> list[tuple[str, ...]]:
        answers = Kept()
        async with listening(tmp_path / "nri.sock") as came:
            serving = asyncio.create_task(Plugin(tmp_path / "nri.sock", answers).serve())
            runtime = await came.get()
            await script(runtime, answers)
            runtime.hang_up()
            await serving
        return answers.heard

    return asyncio.run(both())


def test_a_runtime_takes_the_plugin_in_and_tells_what_is_there(tmp_path: Path) -> None:
    """Registered by name, asked for two events, told of everything at once though it came in pieces."""

    async def script(runtime: Runtime, _answers: Kept) -> None:
        await runtime.take_in(timeout_ms=2500, pieces=2)
        assert (runtime.registered.plugin_name, runtime.registered.plugin_idx) == ("bulkhead", "90")
        assert runtime.configured.events == EVENTS == 0b10000100000

    heard = talk(tmp_path, script)
    assert heard == [("configured", "containerd 2.2.1", "2.5"), ("present", "pod-1", "pod-2", "c1", "c2")]


@pytest.mark.parametrize("old", [False, True])
def test_a_start_is_answered_and_a_refusal_says_why(tmp_path: Path, old: bool) -> None:
    """By calls of their own, and by the one that older runtimes have for all."""

    async def script(runtime: Runtime, _answers: Kept) -> None:
        await runtime.take_in()
        for name, code in (("good", 0), ("bad", 9)):
            about = start_of(name)
            if old:
                answer = await runtime.call("StateChange", change_of(START_CONTAINER, about))
            else:
                answer = await runtime.call("StartContainer", about)
            assert answer.status.code == code
            assert answer.status.message == ("it must not" if code else "")
        about = start_of("good")
        if old:
            await runtime.call("StateChange", change_of(REMOVE_CONTAINER, about))
        else:
            await runtime.call("RemoveContainer", about)

    assert talk(tmp_path, script)[2:] == [("start", "web-0", "good"), ("removed", "web-0", "good")]


def test_one_start_does_not_wait_for_another(tmp_path: Path) -> None:
    """Pods start side by side: the second is answered while the first is held."""

    async def script(runtime: Runtime, answers: Kept) -> None:
        await runtime.take_in()
        held = runtime.ask("StartContainer", start_of("slow"))
        assert (await runtime.call("StartContainer", start_of("good"))).status.code == 0
        answers.go.set()
        assert (await runtime.receive()).stream == held

    assert talk(tmp_path, script)[2:] == [("start", "web-0", "good"), ("start", "web-0", "slow")]


def test_calls_that_were_not_asked_for_are_answered_with_nothing(tmp_path: Path) -> None:
    """A runtime that is newer than we are must not wait."""

    async def script(runtime: Runtime, _answers: Kept) -> None:
        await runtime.take_in()
        for method in ("Shutdown", "CreateContainer", "FromTheFuture"):
            answer = await runtime.call(method, start_of())
            assert (answer.status.code, answer.payload) == (0, b"")

    talk(tmp_path, script)


def test_no_runtime_is_unreachable(tmp_path: Path) -> None:
    """With the socket's name, because that is what a person can mend."""
    with pytest.raises(Unreachable, match=r"nri\.sock"):
        asyncio.run(Plugin(tmp_path / "nri.sock", Kept()).serve())


@pytest.mark.parametrize(
    "data", [struct.pack(">II", 1, 1 << 30), struct.pack(">IIIIBB", 1, 12, 2, 1, 1, 0) + b"\xff\xff"]
)
def test_a_runtime_that_speaks_something_else_is_refused(tmp_path: Path, data: bytes) -> None:
    """An error of ours, and not a crash of the task."""

    async def script(runtime: Runtime, _answers: Kept) -> None:
        runtime._writer.write(data)
        await runtime._writer.drain()

    with pytest.raises(Damaged, match=r"nri|NRI"):
        talk(tmp_path, script)
