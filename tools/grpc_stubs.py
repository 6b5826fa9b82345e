"""Types of gRPC services: the text of `NAME_pb2_grpc.pyi`, which the protocol compiler does not write.

A stub has one type for a blocking channel and one for an asyncio channel; which one a caller gets follows from the
channel it is made of. A servicer may be of either kind too: its base accepts a context that is both, so that methods
for one kind override it soundly. Next step: `tools.gen_proto` puts these texts beside the generated modules.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto

_PREAMBLE = '''\
"""Types of the services of {file}, made by tools/gen_proto.py."""

from abc import ABCMeta
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any, Self, overload, type_check_only

import grpc
import grpc.aio
'''

_SHARED = """\
@type_check_only
class _Context(grpc.ServicerContext, grpc.aio.ServicerContext[Any, Any]): ...  # type: ignore[misc]

@type_check_only
class _Requests[T](Iterator[T], AsyncIterator[T], metaclass=ABCMeta): ...
"""


def render_stubs(file: FileDescriptorProto, modules: dict[str, str]) -> str:
    """The text of the stub of `file`; `modules` maps a message's full name (`.bulkhead.v1.Batch`) to its module."""
    used = sorted(
        {modules[name] for service in file.service for method in service.method for name in _messages(method)}
    )
    imports = "".join(f"from {module.rpartition('.')[0]} import {module.rpartition('.')[2]}\n" for module in used)
    parts = [_PREAMBLE.format(file=file.name) + imports, _SHARED]
    parts += [text for service in file.service for text in _service(service, modules)]
    return "\n".join(parts)


def _messages(method: MethodDescriptorProto) -> tuple[str, str]:
    return method.input_type, method.output_type


def _types(method: MethodDescriptorProto, modules: dict[str, str]) -> tuple[str, str]:
    """Request and response as they are written in the stub."""
    request, response = (f"{modules[name].rpartition('.')[2]}.{name.rpartition('.')[2]}" for name in _messages(method))
    return request, response


def _service(service: ServiceDescriptorProto, modules: dict[str, str]) -> Iterator[str]:
    name = service.name
    lines = [f"class {name}Stub:"]
    lines += ["    @overload", "    def __new__(cls, channel: grpc.Channel) -> Self: ..."]
    lines += [
        "    @overload",
        f"    def __new__(cls, channel: grpc.aio.Channel) -> {name}AsyncStub: ...  # type: ignore[misc]",
    ]
    lines += [f"    {_callable(method, 'grpc', modules)}" for method in service.method]
    yield "\n".join(lines) + "\n"
    lines = ["@type_check_only", f"class {name}AsyncStub:"]
    lines += [f"    {_callable(method, 'grpc.aio', modules)}" for method in service.method]
    yield "\n".join(lines) + "\n"
    lines = [f"class {name}Servicer:"]
    lines += [f"    {_implementation(method, modules)}" for method in service.method]
    yield "\n".join(lines) + "\n"
    parameters = f"servicer: {name}Servicer, server: grpc.Server | grpc.aio.Server"
    yield f"def add_{name}Servicer_to_server({parameters}) -> None: ...\n"


def _callable(method: MethodDescriptorProto, package: str, modules: dict[str, str]) -> str:
    request, response = _types(method, modules)
    kind = ("Stream" if method.client_streaming else "Unary") + ("Stream" if method.server_streaming else "Unary")
    return f"{method.name}: {package}.{kind}MultiCallable[{request}, {response}]"


def _implementation(method: MethodDescriptorProto, modules: dict[str, str]) -> str:
    request, response = _types(method, modules)
    argument = f"request_iterator: _Requests[{request}]" if method.client_streaming else f"request: {request}"
    result = f"Iterator[{response}] | AsyncIterator[{response}]"
    if not method.server_streaming:
        result = f"{response} | Awaitable[{response}]"
    return f"def {method.name}(self, {argument}, context: _Context) -> {result}: ..."
