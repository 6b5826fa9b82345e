"""A Secret's content, in memory only: what was fetched is never written anywhere.

Next step: `cli.events` opens a connection to the collector with it.
"""

from __future__ import annotations

import base64
import binascii

from bulkhead.errors import UsageError
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import object_path


def read_secret(api: Api, namespace: str, name: str, remedy: str) -> dict[str, bytes]:
    """Its values by key. Raises `UsageError` with `remedy` where there is none, and `ApiRefused`, `Unreachable`."""
    try:
        found = api.get(object_path("Secret", namespace, name))
    except NotFound as error:
        raise UsageError(f"Secret {namespace}/{name} is not there: {remedy}; nothing was changed") from error
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in (found.get("data") or {}).items()}
    except (binascii.Error, TypeError) as error:
        raise UsageError(f"Secret {namespace}/{name}: its data is not base64; nothing was changed") from error
