"""Questions to the API server while a cluster starts: plain HTTPS, because a process a question would be slow.

Why here: the starting cluster shares two processors with an emulated machine. Everything else is asked with kubectl.
"""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

from tools.cluster.addresses import API_SERVER_PORT, LOOPBACK, NODE_NAME
from tools.cluster.credentials import Credentials

ANSWER_S = 10.0


class Api:
    """The API server, asked as the administrator."""

    def __init__(self, credentials: Credentials) -> None:
        context = ssl.create_default_context(cafile=str(credentials.authority))
        no_proxy = urllib.request.ProxyHandler({})
        self._opener = urllib.request.build_opener(no_proxy, urllib.request.HTTPSHandler(context=context))
        self._token = credentials.token("admin")

    def is_ready(self) -> bool:
        """Whether it calls itself ready, and has made its own namespace: it does so a moment later."""
        return self._get("/readyz") == b"ok" and self._get("/api/v1/namespaces/kube-system") is not None

    def is_node_ready(self) -> bool:
        """Whether it calls the node ready."""
        node = self._get(f"/api/v1/nodes/{NODE_NAME}")
        return node is not None and has_condition(json.loads(node), "Ready")

    def takes_pods(self) -> bool:
        """Whether the namespace `default` has what every pod is given: service account and authority's certificate."""
        base = "/api/v1/namespaces/default"
        wanted = (f"{base}/serviceaccounts/default", f"{base}/configmaps/kube-root-ca.crt")
        return all(self._get(path) is not None for path in wanted)

    def _get(self, path: str) -> bytes | None:
        """The answer's content; None where there is no answer, or another one than success."""
        url = f"https://{LOOPBACK}:{API_SERVER_PORT}{path}"
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self._token}"})
        try:
            with self._opener.open(request, timeout=ANSWER_S) as answer:
                return bytes(answer.read())
        except OSError:  # nobody listens yet, or there is no such object yet
            return None


def has_condition(thing: dict[str, Any], name: str) -> bool:
    """Whether a Kubernetes object's condition of that name is True."""
    conditions = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == name and one["status"] == "True" for one in conditions)
