"""Who may deliver violations and who may read them, by the common name of the certificate that a caller has shown.

One authority signs both kinds. Without this a node whose key was stolen could read what happens on all others, and a
reader could deliver what never happened. Readers without a certificate show a token (`collector.tokens`). Next step:
`collector.ingest` and `collector.readers` ask first.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc

from bulkhead.collector.access import Why
from bulkhead.log import get_log
from bulkhead.v1.violations_pb2 import Filter

COMMON_NAME = "x509_common_name"  # in gRPC's authentication context, one for each name of the subject

log = get_log()


@dataclass(frozen=True)
class WholeAccess:
    """Everything, for as long as the connection lasts."""

    confined: bool = False

    async def check(self, context: Any) -> None:
        """Nothing: what a certificate allows does not change."""


@dataclass(frozen=True)
class Role:
    """The names that may do something; None where everybody may whom the server lets connect."""

    what: str
    names: frozenset[str] | None = None
    refusals: Counter[Why] = field(default_factory=Counter, compare=False)

    async def authorize(self, context: Any, verb: str, wanted: Filter) -> WholeAccess:
        """Whoever may do it may do all of it."""
        await self.require(context)
        return WholeAccess()

    async def require(self, context: Any) -> None:
        """Ends the call with PERMISSION_DENIED for everybody else."""
        if self.names is None:
            return
        shown = {name.decode(errors="replace") for name in context.auth_context().get(COMMON_NAME, ())}
        if shown.isdisjoint(self.names):
            self.refusals[Why.CERTIFICATE] += 1
            log.warning("caller_refused", peer=context.peer(), name=", ".join(sorted(shown)), reason=self.what)
            allowed = ", ".join(sorted(self.names))
            message = f"to {self.what}, show a certificate of {allowed}; this is one of {', '.join(sorted(shown))}"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, message)


@dataclass(frozen=True)
class Roles:
    """Both."""

    deliver: Role = Role("deliver violations")
    read: Role = Role("read violations")


def roles(agents: list[str], readers: list[str]) -> Roles:
    """From the names on a command line; an empty list is everybody."""
    deliver, read = (frozenset(names) if names else None for names in (agents, readers))
    return Roles(Role(Roles.deliver.what, deliver), Role(Roles.read.what, read))
