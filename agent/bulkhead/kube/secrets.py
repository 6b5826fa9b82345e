"""A Secret's content, in memory only: what was fetched is never written anywhere. A ConfigMap's likewise.

Next step: `cli.events_collector` opens a connection to the collector with it.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from bulkhead.errors import UsageError
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import object_path


def read_secret(api: Api, namespace: str, name: str, remedy: str) -> dict[str, bytes]:
    """Its values by key. Raises `UsageError` with `remedy` where there is none, and `ApiRefused`, `Unreachable`."""
    data = _data(api, "Secret", namespace, name, remedy)
    try:
        return {key: base64.b64decode(value, validate=True) for key, value in data.items()}
    except (binascii.Error, TypeError) as error:
        raise UsageError(f"Secret {namespace}/{name}: its data is not base64; nothing was changed") from error


def read_config(api: Api, namespace: str, name: str, remedy: str) -> dict[str, str]:
    """A ConfigMap's values by key. Raises as `read_secret` does."""
    return {key: str(value) for key, value in _data(api, "ConfigMap", namespace, name, remedy).items()}


def _data(api: Api, kind: str, namespace: str, name: str, remedy: str) -> dict[str, Any]:
    try:
        return api.get(object_path(kind, namespace, name)).get("data") or {}
    except NotFound as error:
        raise UsageError(f"{kind} {namespace}/{name} is not there: {remedy}; nothing was changed") from error
