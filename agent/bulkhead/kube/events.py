"""Events on objects: what `kubectl describe` shows below an object of ours when something is wrong with it.

An event is told once for each state of the object: its name is made from what it says, so a second one is refused by
the API server and nothing is lost. Events are for people and may get lost; what programs rely on is in the status.
Next step: `kube.client`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bulkhead.errors import Unreachable
from bulkhead.kube.client import Api
from bulkhead.kube.errors import Conflict
from bulkhead.kube.objects import collection_path
from bulkhead.log import get_log

COMPONENT = "bulkhead-controller"
NOTE_BYTES = 1_024  # the API server takes no longer ones
NAME_CHARACTERS = 253 - 17  # room for a dot and 16 digits

log = get_log()


def post_event(  # noqa: PLR0913  # an event has that many parts
    api: Api,
    involved: Mapping[str, Any],
    reason: str,
    message: str,
    *,
    type: str = "Warning",
    component: str = COMPONENT,
    node: str = "",
) -> None:
    """Tell `message` on an object, once for each of its generations, reason and node. Never raises.

    `involved` has apiVersion, kind, name, uid and, if they have them, namespace, resourceVersion and generation.
    `reason` is one word for programs, `type` Warning or Normal.
    """
    body = event(involved, reason, message, type, (component, node), datetime.now(UTC))
    path = collection_path("Event", body["metadata"]["namespace"])
    try:
        api.post(path, body)
    except Conflict:
        return  # told before
    except Unreachable as error:
        log.warning("event_not_posted", object=f"{involved['kind']} {involved['name']}", reason=str(error))


def event(  # noqa: PLR0913, PLR0917  # see above
    involved: Mapping[str, Any], reason: str, message: str, type: str, source: tuple[str, str], now: datetime
) -> dict[str, Any]:
    """The object of events.k8s.io/v1. Pure. `source` is (component, node)."""
    component, node = source
    regarding = {
        key: str(involved[key])
        for key in ("apiVersion", "kind", "name", "namespace", "uid", "resourceVersion")
        if involved.get(key)
    }
    state = (
        involved.get("uid"),
        involved.get("generation") or involved.get("resourceVersion"),
        reason,
        component,
        node,
    )
    digest = hashlib.sha256("\0".join(map(str, state)).encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": f"{regarding['name'][:NAME_CHARACTERS]}.{digest}",
            "namespace": regarding.get("namespace", "default"),  # where events of objects without a namespace belong
        },
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "type": type,
        "reason": reason,
        "action": "Enforcing",
        "note": shortened(message),
        "regarding": regarding,
        "reportingController": component,
        "reportingInstance": node or component,
    }


def shortened(message: str) -> str:
    """At most `NOTE_BYTES` in UTF-8, with … where something is missing."""
    encoded = message.encode()
    if len(encoded) <= NOTE_BYTES:
        return message
    return encoded[: NOTE_BYTES - 3].decode(errors="ignore") + "…"
