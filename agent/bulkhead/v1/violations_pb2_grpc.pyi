"""Types of the services of bulkhead/v1/violations.proto, made by tools/gen_proto.py."""

from abc import ABCMeta
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Self, overload, type_check_only

import grpc
import grpc.aio
from bulkhead.v1 import violations_pb2

@type_check_only
class _Context(grpc.ServicerContext, grpc.aio.ServicerContext[Any, Any]): ...  # type: ignore[misc]

@type_check_only
class _Requests[T](Iterator[T], AsyncIterator[T], metaclass=ABCMeta): ...

class ViolationsStub:
    @overload
    def __new__(cls, channel: grpc.Channel) -> Self: ...
    @overload
    def __new__(cls, channel: grpc.aio.Channel) -> ViolationsAsyncStub: ...  # type: ignore[misc]
    Subscribe: grpc.UnaryStreamMultiCallable[violations_pb2.SubscribeRequest, violations_pb2.SubscribeResponse]
    Query: grpc.UnaryUnaryMultiCallable[violations_pb2.QueryRequest, violations_pb2.QueryResponse]

@type_check_only
class ViolationsAsyncStub:
    Subscribe: grpc.aio.UnaryStreamMultiCallable[violations_pb2.SubscribeRequest, violations_pb2.SubscribeResponse]
    Query: grpc.aio.UnaryUnaryMultiCallable[violations_pb2.QueryRequest, violations_pb2.QueryResponse]

class ViolationsServicer:
    def Subscribe(self, request: violations_pb2.SubscribeRequest, context: _Context) -> Iterator[violations_pb2.SubscribeResponse] | AsyncIterator[violations_pb2.SubscribeResponse]: ...
    def Query(self, request: violations_pb2.QueryRequest, context: _Context) -> violations_pb2.QueryResponse | Awaitable[violations_pb2.QueryResponse]: ...

def add_ViolationsServicer_to_server(servicer: ViolationsServicer, server: grpc.Server | grpc.aio.Server) -> None: ...
