"""What a reader may see, and who says so: the certificate of its connection, or a token of the cluster.

Reading is one of two rights, with the words of Kubernetes: a page is `list`, a subscription `watch`. Next step:
`collector.roles` for certificates, `collector.tokens` for tokens; `collector.readers` asks.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any, Protocol

from bulkhead.v1.violations_pb2 import Filter


class Why(StrEnum):
    """Why a caller was refused. The words are a label of a metric."""

    CERTIFICATE = "certificate"
    NODE = "node"
    TOKEN = "token"
    RIGHT = "right"
    UNREACHABLE = "unreachable"
    BUSY = "busy"


class Access(Protocol):
    """A reader that was let in. `confined`: it may know nothing but the namespace that its filter names."""

    @property
    def confined(self) -> bool: ...

    async def check(self, context: Any) -> None:
        """Before each message: ends the call once the reader may no longer read."""
        ...


class Authorizer(Protocol):
    """Who decides, with how many were refused and why."""

    @property
    def refusals(self) -> Counter[Why]: ...

    async def authorize(self, context: Any, verb: str, wanted: Filter) -> Access:
        """Ends the call of whoever may not do `verb` with what the filter selects."""
        ...
