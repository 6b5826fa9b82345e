"""What agents send, checked: one stream an agent, refused with a status that says why.

Messages come as bytes and go into the store as they came; they are parsed once, to check them and to see what they can
be found by. An acknowledgement is sent when the store has committed, never before. Next step: `collector.commits`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.message import DecodeError

from bulkhead.collector.access import Why
from bulkhead.collector.arrival import Source, survey
from bulkhead.collector.commits import Commits
from bulkhead.collector.roles import Role, left_s
from bulkhead.collector.store import Store, StoreFull
from bulkhead.errors import BulkheadError
from bulkhead.log import get_log
from bulkhead.settings import BATCH_ENTRIES_LIMIT
from bulkhead.v1.ingest_pb2 import Acknowledgement, AgentMessage, Batch, CollectorMessage, Hello, Welcome

log = get_log()

SCHEMA_VERSION = 1
NAME_BYTES_LIMIT = 253  # of a node, as in Kubernetes
STREAM_BATCHES = 128  # received and not acknowledged, of one agent

Context = grpc.aio.ServicerContext[bytes, CollectorMessage]


class Refused(Exception):
    """What the agent sent is not acceptable; the message goes into the status."""


class Ingest:
    """The service. `handler` is what a server registers; `connected` agents there are, `refused` there were."""

    def __init__(self, store: Store, commits: Commits, role: Role) -> None:
        self._store, self._commits, self._role = store, commits, role
        self.connected = self.refused = 0

    @property
    def refusals(self) -> Counter[Why]:
        """Callers that may not deliver."""
        return self._role.refusals

    def handler(self) -> grpc.GenericRpcHandler:
        """The service with requests left as bytes."""
        stream: grpc.RpcMethodHandler[bytes, CollectorMessage] = grpc.stream_stream_rpc_method_handler(
            self.stream, response_serializer=CollectorMessage.SerializeToString
        )
        return grpc.method_handlers_generic_handler("bulkhead.v1.Ingest", {"Stream": stream})

    async def stream(self, requests: AsyncIterator[bytes], context: Context) -> None:
        """One agent, from its Hello to the end of its stream."""
        await self._role.require(context)
        futures: asyncio.Queue[asyncio.Future[int] | None] = asyncio.Queue(STREAM_BATCHES)
        try:
            source = await self._greet(requests, context)
            with self._counted():
                receiving = asyncio.create_task(self._receive(source, requests, futures))
                async with asyncio.timeout(left_s(context)):
                    await first_failure(receiving, asyncio.create_task(acknowledge(futures, context)))
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, "the certificate has ended: connect with its successor"
            )
        except Refused as error:
            self.refused += 1
            log.warning("agent_refused", peer=context.peer(), reason=str(error))
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except StoreFull as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except BulkheadError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.connected += 1
        try:
            yield
        finally:
            self.connected -= 1

    async def _greet(self, requests: AsyncIterator[bytes], context: Context) -> Source:
        try:
            message = parse(await anext(requests))
        except StopAsyncIteration as error:
            raise Refused("the stream ended before a Hello") from error
        if message.WhichOneof("kind") != "hello":
            raise Refused("the first message must be a Hello")
        source = check_hello(message.hello)
        await self._role.require_node(context, source.node)
        durable = self._store.durable(source)
        log.info("agent_connected", node=source.node, boot_id=source.boot_id, durable=durable, peer=context.peer())
        await context.write(CollectorMessage(welcome=Welcome(durable_sequence=durable, schema_version=SCHEMA_VERSION)))
        return source

    async def _receive(
        self, source: Source, requests: AsyncIterator[bytes], futures: asyncio.Queue[asyncio.Future[int] | None]
    ) -> None:
        last = 0
        async for data in requests:
            message = parse(data)
            if message.WhichOneof("kind") != "batch":
                raise Refused("after the Hello every message must be a Batch")
            batch = message.batch
            check_batch(batch, last)
            last = batch.last_sequence
            await futures.put(await self._commits.put(survey(source, data, batch)))
        await futures.put(None)


async def first_failure(*tasks: asyncio.Task[None]) -> None:
    """Waits for all tasks; where one fails, ends the others and raises its error."""
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def acknowledge(futures: asyncio.Queue[asyncio.Future[int] | None], context: Context) -> None:
    """Tells the agent what is durable, in order, several commits at once where they are done."""
    ended = False
    while not ended:
        future = await futures.get()
        if future is None:
            return
        sequence = await future
        while not futures.empty():
            future = futures.get_nowait()
            ended = future is None
            if future is None:
                break
            sequence = await future
        await context.write(CollectorMessage(acknowledgement=Acknowledgement(sequence=sequence)))


def parse(data: bytes) -> AgentMessage:
    """The message. Raises Refused where the bytes are none."""
    try:
        return AgentMessage.FromString(data)
    except DecodeError as error:
        raise Refused("not a message of bulkhead.v1.Ingest") from error


def check_hello(hello: Hello) -> Source:
    """Whose stream this is. Raises Refused where that is not said properly."""
    if hello.schema_version != SCHEMA_VERSION:
        raise Refused(f"schema version {hello.schema_version} is not spoken here, {SCHEMA_VERSION} is")
    for field in ("node", "boot_id"):
        value = getattr(hello, field)
        if not 0 < len(value) <= NAME_BYTES_LIMIT or "/" in value:
            raise Refused(f"Hello.{field} must be 1 to {NAME_BYTES_LIMIT} characters without /")
    return Source(hello.node, hello.boot_id)


def check_batch(batch: Batch, last: int) -> None:
    """Raises Refused where a batch is not what `ingest.proto` promises. `last` is the last sequence before it."""
    count = len(batch.entries)
    if not 0 < count <= BATCH_ENTRIES_LIMIT:
        raise Refused(f"a batch of {count} entries: 1 to {BATCH_ENTRIES_LIMIT} are taken")
    if batch.first_sequence <= last:
        raise Refused(f"sequence {batch.first_sequence} after {last}: sequences must ascend")
    last = batch.first_sequence - 1
    for entry in batch.entries:
        if entry.sequence <= last:
            raise Refused(f"sequence {entry.sequence} after {last}: sequences must ascend")
        if entry.WhichOneof("kind") is None:
            raise Refused(f"entry {entry.sequence} is neither a violation nor a gap")
        last = entry.sequence
    if batch.entries[0].sequence != batch.first_sequence or last != batch.last_sequence:
        raise Refused(f"a batch of sequences {batch.first_sequence} to {batch.last_sequence} holds others")
