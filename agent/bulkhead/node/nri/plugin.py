"""The conversation with a container runtime: register, hear what is there, be asked before each container starts.

One connection is one run of `Plugin.serve`; requests are answered side by side, each by a coroutine of the `Answers`
that were given. What they raise as `StartRefused` the runtime takes for its own failure to start the container, with
the text as the reason. Sources: github.com/containerd/nri, pkg/api/api.proto and pkg/stub. Next step: `frames`.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from google.protobuf.message import DecodeError, Message

from bulkhead.errors import Damaged, NotEnforceable, Unreachable
from bulkhead.node.nri import frames
from bulkhead.nri.v1alpha1.nri_pb2 import (
    ConfigureRequest,
    ConfigureResponse,
    Container,
    ContainerRequest,
    Pod,
    RegisterPluginRequest,
    Request,
    Response,
    StateChangeEvent,
    SynchronizeRequest,
    SynchronizeResponse,
)

NAME, INDEX = "bulkhead", "90"  # asked after plugins that change what a container is
SERVICE = "nri.pkg.api.v1alpha1.Runtime"
START_CONTAINER, REMOVE_CONTAINER = 6, 11  # numbers of events
EVENTS = sum(1 << number - 1 for number in (START_CONTAINER, REMOVE_CONTAINER))
METHODS = {
    "StartContainer": START_CONTAINER,
    "RemoveContainer": REMOVE_CONTAINER,
}  # from NRI 0.12 on
FAILED_PRECONDITION = 9  # of gRPC's codes
REGISTRATION_S = 5.0
READ_BYTES = 1 << 16
_CREDENTIALS = struct.Struct("<iII")  # struct ucred: process, user, group


class StartRefused(NotEnforceable):
    """A container must not start; the text says why, and is shown as the reason of its pod."""


class Answers(Protocol):
    """Whoever is asked."""

    def configured(self, runtime: str, timeout_s: float, process: int) -> None:
        """The runtime has taken us in; it waits so long for an answer. `process` is the one that listens."""
        ...

    def present(self, pods: Sequence[Pod], containers: Sequence[Container]) -> None:
        """These are all that there are now."""
        ...

    async def start(self, pod: Pod, container: Container) -> None:
        """A container was made, and starts when this returns. Raises `StartRefused`."""
        ...

    def removed(self, pod: Pod, container: Container) -> None:
        """A container is gone."""
        ...


class Plugin:
    """One connection to the runtime that listens at `socket`."""

    def __init__(self, path: Path, answers: Answers) -> None:
        self._socket = path
        self._answers = answers
        self._streams = itertools.count(1, 2)  # a caller's are odd
        self._called: dict[int, asyncio.Future[None]] = {}
        self._asked: set[asyncio.Task[None]] = set()
        self._pods: list[Pod] = []
        self._containers: list[Container] = []
        self._writer: asyncio.StreamWriter

    async def serve(self) -> None:
        """Until the runtime hangs up, or this is cancelled. Raises `Unreachable`, `Damaged`."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise Unreachable(f"{self._socket}: {error.strerror}: no runtime with NRI answers there") from error
        try:
            registering = asyncio.create_task(self._register())
            await self._read(reader)
            await registering
        except (ConnectionError, TimeoutError) as error:
            raise Unreachable(f"{self._socket}: the container runtime hung up ({error!r})") from error
        finally:
            registering.cancel()
            for task in self._asked:
                task.cancel()
            self._writer.close()

    async def _register(self) -> None:
        number = next(self._streams)
        self._called[number] = asyncio.get_running_loop().create_future()
        payload = RegisterPluginRequest(plugin_name=NAME, plugin_idx=INDEX).SerializeToString()
        call = Request(service=SERVICE, method="RegisterPlugin", payload=payload)
        await self._send(frames.RUNTIME, number, frames.REQUEST, call)
        await asyncio.wait_for(self._called[number], REGISTRATION_S)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = frames.Decoder()
        while data := await reader.read(READ_BYTES):
            for message in decoder.feed(data):
                self._take(message)

    def _take(self, message: frames.Message) -> None:
        try:
            if message.kind == frames.RESPONSE:
                self._take_response(message.stream, Response.FromString(message.payload))
                return
            request = Request.FromString(message.payload)
        except DecodeError as error:
            raise Damaged(f"{self._socket}: not a message of NRI: {error}") from error
        task = asyncio.create_task(self._answer(message, request))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def _take_response(self, stream: int, response: Response) -> None:
        waiting = self._called.pop(stream, None)
        if waiting is None or waiting.done():
            return
        if response.status.code:
            waiting.set_exception(Unreachable(f"{self._socket}: the runtime refuses us: {response.status.message}"))
        else:
            waiting.set_result(None)

    async def _answer(self, message: frames.Message, request: Request) -> None:
        response = Response()
        try:
            answer = await self._call(request)
            response.payload = answer.SerializeToString() if answer else b""
        except StartRefused as error:
            response.status.code, response.status.message = FAILED_PRECONDITION, str(error)
        await self._send(message.connection, message.stream, frames.RESPONSE, response)

    async def _call(self, request: Request) -> Message | None:
        if request.method == "Configure":
            return self._configured(ConfigureRequest.FromString(request.payload))
        if request.method == "Synchronize":
            return self._synchronized(SynchronizeRequest.FromString(request.payload))
        if request.method == "StateChange":
            change = StateChangeEvent.FromString(request.payload)
            await self._event(change.event, change.pod, change.container)
        elif request.method in METHODS:
            about = ContainerRequest.FromString(request.payload)
            await self._event(METHODS[request.method], about.pod, about.container)
        return None  # what was not asked for is answered with nothing, as the runtime expects

    def _configured(self, told: ConfigureRequest) -> ConfigureResponse:
        runtime = f"{told.runtime_name} {told.runtime_version}"
        self._answers.configured(runtime, told.request_timeout / 1000, self._peer())
        return ConfigureResponse(events=EVENTS)

    def _peer(self) -> int:
        """The process that listens at the socket; 0 where it is in no process namespace of ours."""
        connection = self._writer.get_extra_info("socket")
        process, _, _ = _CREDENTIALS.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        return int(process)

    def _synchronized(self, told: SynchronizeRequest) -> SynchronizeResponse:
        self._pods += told.pods
        self._containers += told.containers
        if not told.more:
            self._answers.present(self._pods, self._containers)
            self._pods, self._containers = [], []
        return SynchronizeResponse(more=told.more)

    async def _event(self, event: int, pod: Pod, container: Container) -> None:
        if event == START_CONTAINER:
            await self._answers.start(pod, container)
        elif event == REMOVE_CONTAINER:
            self._answers.removed(pod, container)

    async def _send(self, connection: int, stream: int, kind: int, content: Message) -> None:
        self._writer.write(frames.encode(frames.Message(connection, stream, kind, content.SerializeToString())))
        await self._writer.drain()
