"""Where objects are in the API, and server-side apply of what is ours in them.

Kinds are written as in manifests. Next step: `kube.client` sends it.
"""

from __future__ import annotations

from typing import Any

from bulkhead.errors import InternalError
from bulkhead.kube.client import APPLY_TYPE, Api, Body

CORE = "/api/v1"
OURS = "/apis/bulkhead.dev/v1alpha1"
FIELD_MANAGER = "bulkhead-agent"

# kind -> (the API that serves it, its plural, whether its objects are in namespaces)
KINDS = {
    "SecurityPolicy": (OURS, "securitypolicies", True),
    "ClusterSecurityPolicy": (OURS, "clustersecuritypolicies", False),
    "NodeState": (OURS, "nodestates", False),
    "Namespace": (CORE, "namespaces", False),
    "Node": (CORE, "nodes", False),
    "Pod": (CORE, "pods", True),
    "Secret": (CORE, "secrets", True),
    "ConfigMap": (CORE, "configmaps", True),
    "Lease": ("/apis/coordination.k8s.io/v1", "leases", True),
    "CertificateSigningRequest": ("/apis/certificates.k8s.io/v1", "certificatesigningrequests", False),
    "Event": ("/apis/events.k8s.io/v1", "events", True),
}


def collection_path(kind: str, namespace: str = "") -> str:
    """Where objects of a kind are listed and created: of one namespace, or of all where it is empty."""
    if kind not in KINDS:
        raise InternalError(f"kind {kind}: its path is not known; nothing was sent")
    api, plural, is_namespaced = KINDS[kind]
    return f"{api}/namespaces/{namespace}/{plural}" if is_namespaced and namespace else f"{api}/{plural}"


def object_path(kind: str, namespace: str, name: str) -> str:
    """Where one object is; `namespace` is of no account for kinds that have none."""
    return f"{collection_path(kind, namespace)}/{name}"


def apply(api: Api, path: str, body: Body, field_manager: str = FIELD_MANAGER, force: bool = True) -> dict[str, Any]:
    """Make the object at `path` if it is not there, and the fields in `body` as they are there; others stay.

    `body` has apiVersion, kind and metadata.name. Fields that this manager applied before and that are no longer in
    `body` go. `force` takes over fields of other managers. Raises `ApiRefused`, `Unreachable`.
    """
    query = {"fieldManager": field_manager} | ({"force": "true"} if force else {})
    return api.patch(path, body, APPLY_TYPE, query)


def apply_status(
    api: Api, path: str, body: Body, field_manager: str = FIELD_MANAGER, force: bool = True
) -> dict[str, Any]:
    """The same for the status of the object at `path`, which must be there: `NotFound` otherwise."""
    return apply(api, f"{path}/status", body, field_manager, force)
