"""A container runtime as far as a plugin sees it: listens, takes a plugin in, asks it, and keeps what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from google.protobuf.message import Message

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
)

SERVICE = "nri.pkg.api.v1alpha1.Plugin"
PATIENCE_S = 30.0


class Runtime:
    """The side that asks, for one plugin."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.registered = RegisterPluginRequest()
        self.configured = ConfigureResponse()
        self._reader, self._writer = reader, writer
        self._decoder = frames.Decoder()
        self._messages: list[frames.Message] = []
        self._number = 1

    async def take_in(self, timeout_ms: int = 2000, pieces: int = 1) -> None:
        """Register, configure, synchronise with one pod and container for each piece."""
        message = await self.receive()
        request = Request.FromString(message.payload)
        assert (message.connection, request.method) == (frames.RUNTIME, "RegisterPlugin")
        self.registered = RegisterPluginRequest.FromString(request.payload)
        self.send(frames.RUNTIME, message.stream, frames.RESPONSE, Response())
        told = ConfigureRequest(runtime_name="containerd", runtime_version="2.2.1", request_timeout=timeout_ms)
        self.configured = ConfigureResponse.FromString((await self.call("Configure", told)).payload)
        for number in range(1, pieces + 1):
            there = SynchronizeRequest(
                pods=[Pod(id=f"s{number}", name=f"pod-{number}", uid=f"u{number}", namespace="shop")],
                containers=[Container(id=f"c{number}", pod_sandbox_id=f"s{number}", name="main")],
                more=number < pieces,
            )
            assert not (await self.call("Synchronize", there)).status.code

    async def call(self, method: str, content: Message) -> Response:
        """Ask the plugin and wait for its answer."""
        number = self.ask(method, content)
        message = await self.receive()
        assert (message.connection, message.stream, message.kind) == (frames.PLUGIN, number, frames.RESPONSE)
        return Response.FromString(message.payload)

    def ask(self, method: str, content: Message) -> int:
        """Ask the plugin; returns the number of the stream that the answer will have."""
        number, self._number = self._number, self._number + 2
        request = Request(service=SERVICE, method=method, payload=content.SerializeToString())
        self.send(frames.PLUGIN, number, frames.REQUEST, request)
        return number

    def send(self, connection: int, stream: int, kind: int, content: Message) -> None:
        """One message, a byte at a time: the other side sees it in pieces."""
        for byte in frames.encode(frames.Message(connection, stream, kind, content.SerializeToString())):
            self._writer.write(bytes([byte]))

    async def receive(self) -> frames.Message:
        """The next message."""
        while not self._messages:
            data = await asyncio.wait_for(self._reader.read(1 << 16), PATIENCE_S)
            assert data, "the plugin hung up"
            self._messages += self._decoder.feed(data)
        return self._messages.pop(0)

    def hang_up(self) -> None:
        """As a runtime that is restarted."""
        self._writer.close()


@asynccontextmanager
async def listening(socket: Path) -> AsyncIterator[asyncio.Queue[Runtime]]:
    """A runtime at a socket; each plugin that comes is another `Runtime` of the queue."""
    came: asyncio.Queue[Runtime] = asyncio.Queue()
    server = await asyncio.start_unix_server(lambda r, w: came.put_nowait(Runtime(r, w)), str(socket))
    try:
        yield came
    finally:
        server.close()


def start_of(name: str = "main", pod: str = "web-0", *, uid: str = "u", container: str = "c") -> ContainerRequest:
    """What a runtime says of a container that it is about to start."""
    return ContainerRequest(
        pod=Pod(id="s", name=pod, uid=uid, namespace="shop", labels={"app": "web", "io.kubernetes.pod.uid": uid}),
        container=Container(id=container, pod_sandbox_id="s", name=name, pid=1),
    )


def change_of(event: int, about: ContainerRequest) -> StateChangeEvent:
    """The same as older runtimes say it."""
    return StateChangeEvent(event=event, pod=about.pod, container=about.container)
