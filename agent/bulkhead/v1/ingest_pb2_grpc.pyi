"""Types of the services of bulkhead/v1/ingest.proto, made by tools/gen_proto.py."""

from abc import ABCMeta
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Self, overload, type_check_only

import grpc
import grpc.aio
from bulkhead.v1 import ingest_pb2

@type_check_only
class _Context(grpc.ServicerContext, grpc.aio.ServicerContext[Any, Any]): ...  # type: ignore[misc]

@type_check_only
class _Requests[T](Iterator[T], AsyncIterator[T], metaclass=ABCMeta): ...

class IngestStub:
    @overload
    def __new__(cls, channel: grpc.Channel) -> Self: ...
    @overload
    def __new__(cls, channel: grpc.aio.Channel) -> IngestAsyncStub: ...  # type: ignore[misc]
    Stream: grpc.StreamStreamMultiCallable[ingest_pb2.AgentMessage, ingest_pb2.CollectorMessage]

@type_check_only
class IngestAsyncStub:
    Stream: grpc.aio.StreamStreamMultiCallable[ingest_pb2.AgentMessage, ingest_pb2.CollectorMessage]

class IngestServicer:
    def Stream(self, request_iterator: _Requests[ingest_pb2.AgentMessage], context: _Context) -> Iterator[ingest_pb2.CollectorMessage] | AsyncIterator[ingest_pb2.CollectorMessage]: ...

def add_IngestServicer_to_server(servicer: IngestServicer, server: grpc.Server | grpc.aio.Server) -> None: ...
