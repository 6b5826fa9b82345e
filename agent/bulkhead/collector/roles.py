"""Who may deliver violations and who may read them, by the certificate that a caller has shown.

One authority signs both kinds; the common name tells them apart. Without this a node whose key was stolen could read
what happens on all others, and a reader could deliver what never happened. A certificate that names a node
(`certificates.names`) delivers for that node alone, and no agent's stream outlives its certificate. Readers without a
certificate show a token (`collector.tokens`). Next step: `collector.ingest` and `collector.readers` ask first.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc

from bulkhead.certificates.names import nodes_in
from bulkhead.certificates.pair import facts
from bulkhead.collector.access import Why
from bulkhead.log import get_log
from bulkhead.v1.violations_pb2 import Filter

COMMON_NAME = "x509_common_name"  # in gRPC's authentication context, one for each name of the subject
URI = "peer_uri"  # one for each in the certificate
CERTIFICATE = "x509_pem_cert"

log = get_log()


@dataclass(frozen=True)
class WholeAccess:
    """Everything, for as long as the connection lasts."""

    confined: bool = False

    async def check(self, context: Any) -> None:
        """Nothing: what a certificate allows does not change."""


@dataclass(frozen=True)
class Role:
    """The names that may do something; None where everybody may whom the server lets connect.

    `named_nodes`: a certificate must say of which node it is.
    """

    what: str
    names: frozenset[str] | None = None
    named_nodes: bool = False
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

    async def require_node(self, context: Any, node: str) -> None:
        """Ends the call with PERMISSION_DENIED for whoever has a certificate of another node."""
        nodes = nodes_in(uri.decode(errors="replace") for uri in context.auth_context().get(URI, ()))
        if node in nodes or not (nodes or self.named_nodes):
            return
        self.refusals[Why.NODE] += 1
        shown = ", ".join(sorted(nodes)) or "no node"
        log.warning("caller_refused", peer=context.peer(), name=shown, reason=f"{self.what} of {node}")
        message = f"to {self.what} of node {node}, show a certificate of that node; this is one of {shown}"
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, message)


def left_s(context: Any) -> float | None:
    """Seconds for which the certificate that was shown is valid; None without one."""
    shown = context.auth_context().get(CERTIFICATE, ())
    return max(0.0, facts(shown[0]).ends.timestamp() - time.time()) if shown else None


@dataclass(frozen=True)
class Roles:
    """Both."""

    deliver: Role = Role("deliver violations")
    read: Role = Role("read violations")


def roles(agents: list[str], readers: list[str], named_nodes: bool = False) -> Roles:
    """From the names on a command line; an empty list is everybody."""
    deliver, read = (frozenset(names) if names else None for names in (agents, readers))
    return Roles(Role(Roles.deliver.what, deliver, named_nodes), Role(Roles.read.what, read))
