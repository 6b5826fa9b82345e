"""Readers that show a bearer token of the cluster in the metadata of their call, as `authorization: Bearer …`.

A reader that asks for one namespace is confined to it; one that asks for all needs the right in all of them. The right
is asked about again while a stream lasts. Next step: `collector.grants`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import grpc

from bulkhead.collector.access import Why
from bulkhead.collector.grants import Grant, Grants, Question, Refusal
from bulkhead.log import get_log
from bulkhead.report.channel import TOKEN
from bulkhead.v1.violations_pb2 import Filter

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # a label of DNS, as Kubernetes has them
BEARER = re.compile(rf"bearer +({TOKEN.pattern})", re.IGNORECASE)
NO_TOKEN = Refusal(
    Why.TOKEN,
    grpc.StatusCode.UNAUTHENTICATED,
    "no token: send one of the cluster's in the metadata, as authorization: Bearer TOKEN",
)

log = get_log()


class TokenAccess:
    """A reader whose token was good when it was looked at last. It is confined unless it may read all namespaces."""

    def __init__(self, grant: Grant, refusals: Counter[Why], *, confined: bool) -> None:
        self._grant, self._refusals = grant, refusals
        self.confined = confined

    async def check(self, context: Any) -> None:
        """Ends the call where the right is gone, or where it is not known any more whether it is."""
        refusal = await self._grant.check()
        if refusal:
            await self._end(context, refusal)

    async def _end(self, context: Any, refusal: Refusal) -> None:
        self._refusals[refusal.why] += 1
        if self._grant.user:  # whoever is nobody could fill the log
            log.warning("caller_refused", peer=context.peer(), name=self._grant.user, reason=refusal.text)
        await context.abort(refusal.status, refusal.text)


class TokenAuthorizer:
    """Lets readers in by their tokens."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants
        self.refusals: Counter[Why] = Counter()

    async def authorize(self, context: Any, verb: str, wanted: Filter) -> TokenAccess:
        """Ends the call of whoever may not do `verb` in the namespace that the filter names, or in all."""
        if wanted.namespace and not NAMESPACE.fullmatch(wanted.namespace):
            text = "namespace: at most 63 small letters, digits and '-', as Kubernetes has them"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        token = bearer(context.invocation_metadata() or ())
        if not token:
            self.refusals[NO_TOKEN.why] += 1
            await context.abort(NO_TOKEN.status, NO_TOKEN.text)
        grant = self._grants.of(Question(token, verb, wanted.namespace))
        access = TokenAccess(grant, self.refusals, confined=bool(wanted.namespace))
        await access.check(context)
        return access


def bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The token of a call; empty where there is none, or where there are several to choose from."""
    shown = [value for key, value in metadata if key == "authorization"]
    match = BEARER.fullmatch(shown[0]) if len(shown) == 1 and isinstance(shown[0], str) else None
    return match[1] if match else ""
