"""Objects as the API server gives them, for tests of what reads them."""

from __future__ import annotations

from typing import Any

UID = "0f3a5e0c-8f6c-4a53-9b69-0d4d8a1c2b3d"
CONTAINER = "a" * 64


def pod(  # what tests vary
    name: str = "web-0",
    *,
    uid: str = UID,
    namespace: str = "shop",
    labels: dict[str, str] | None = None,
    containers: dict[str, str] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """A Pod whose containers, by name and runtime id, run."""
    statuses = [
        {
            "name": each,
            "containerID": f"containerd://{identifier}",
            "image": "docker.io/web:1",
            "state": {"running": {}},
        }
        for each, identifier in (containers or {"web": CONTAINER}).items()
    ]
    return {
        "metadata": {"uid": uid, "name": name, "namespace": namespace, "labels": labels or {"app": "web"}, **metadata},
        "status": {"containerStatuses": statuses},
    }


def policy(name: str = "no-id", generation: int = 1, uid: str = "p-1", **spec: Any) -> dict[str, Any]:
    """A SecurityPolicy of namespace shop, for pods with app=web, unless `spec` says otherwise."""
    rule = {"name": "id", "action": "Deny", "paths": ["/usr/bin/id"]}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": uid, "generation": generation, "resourceVersion": "1"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "exec": {"rules": [rule]}, **spec},
    }


def cluster_policy(name: str = "front", **spec: Any) -> dict[str, Any]:
    """A ClusterSecurityPolicy for pods with app=web in namespaces with tier=front, unless `spec` says otherwise."""
    made = policy(name, uid=f"p-{name}", **{"namespaceSelector": {"matchLabels": {"tier": "front"}}, **spec})
    del made["metadata"]["namespace"]
    return made


def broken(generation: int = 2, **more: Any) -> dict[str, Any]:
    """A version of `policy` that is refused."""
    return policy(generation=generation, **more) | {"spec": {"exec": {"rules": [{"action": "Deny", "paths": ["id"]}]}}}
