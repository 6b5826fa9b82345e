"""An API server in memory, as far as certificates need one: objects with versions, and who asked for what.

Next step: tests/cluster/api_server, where there is a real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

from bulkhead.certificates.names import Names
from bulkhead.kube.client import Api
from bulkhead.kube.errors import refusal
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.signing import EXTRA, KIND

NAMES = Names("bulkhead-system", "bulkhead")


class FakeApi:
    """Holds what the chart makes. `caller` and `extra` are what it knows of the token that asks.

    `refused` is an object that takes no change to its status.
    """

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.caller = NAMES.agent_account
        self.extra: dict[str, list[str]] = {EXTRA + "node-name": ["node-1"]}
        self.writes: list[str] = []
        self.failure: Exception | None = None
        self.refused = ""
        for kind, name in (
            ("Secret", NAMES.authority_secret),
            ("Secret", NAMES.collector_secret),
            ("Secret", NAMES.client_secret),
            ("ConfigMap", NAMES.bundle_config),
        ):
            self.store(object_path(kind, NAMES.namespace, name), {"metadata": {"name": name}})

    @property
    def api(self) -> Api:
        """As what others take it for."""
        return cast(Api, self)

    def store(self, path: str, value: dict[str, Any]) -> dict[str, Any]:
        """The object, with the next version."""
        version = str(int(value["metadata"].get("resourceVersion", "0")) + 1)
        stored = {**value, "metadata": {**value["metadata"], "resourceVersion": version}}
        self.objects[path] = stored
        return deepcopy(stored)

    def get(self, path: str, query: object = None, timeout_s: float = 0.0) -> dict[str, Any]:
        """As `Api`."""
        self._fail()
        if path not in self.objects:
            raise refusal(path, 404, "not found")
        return deepcopy(self.objects[path])

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A request for a certificate: who asks is written into it."""
        self._fail()
        assert path == collection_path(KIND)
        name = f"{body['metadata']['generateName']}{len(self.objects)}"
        self.writes.append(name)
        spec = {**body["spec"], "username": self.caller, "extra": self.extra}
        return self.store(f"{path}/{name}", {"metadata": {"name": name}, "spec": spec})

    def put(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """As `Api`."""
        self._fail()
        if body["metadata"]["resourceVersion"] != self.get(path)["metadata"]["resourceVersion"]:
            raise refusal(path, 409, "changed")
        self.writes.append(path.rpartition("/")[2])
        return self.store(path, dict(body))

    def patch(self, path: str, body: Mapping[str, Any], content_type: str, query: object = None) -> dict[str, Any]:
        """A merge into the status."""
        self._fail()
        path = path.rpartition("/")[0]
        found = self.get(path)
        if self.refused and path.endswith(self.refused):
            raise refusal(path, 422, "not that one")
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise refusal(path, 409, "changed")
        return self.store(path, {**found, "status": {**found.get("status", {}), **body["status"]}})

    def requests(self) -> list[dict[str, Any]]:
        """All requests for certificates."""
        return [found for path, found in self.objects.items() if path.startswith(collection_path(KIND))]

    def data(self, kind: str, name: str) -> dict[str, Any]:
        """What an object holds."""
        return dict(self.objects[object_path(kind, NAMES.namespace, name)].get("data") or {})

    def _fail(self) -> None:
        if self.failure:
            raise self.failure
