"""An API server that has some objects and answers at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from bulkhead.kube.client import Api
from bulkhead.kube.errors import refusal


class Objects:
    """By their paths; None is what is not there. `asked` has the paths and queries, in order."""

    def __init__(self, objects: Mapping[str, Any]) -> None:
        self.objects = dict(objects)
        self.asked: list[tuple[str, Mapping[str, str] | None]] = []

    @property
    def api(self) -> Api:
        """As the commands know it."""
        return cast(Api, self)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        """As `Api.get`."""
        self.asked.append((path, query))
        if self.objects.get(path) is None:
            raise refusal(path, 404, f"{path} not found")
        return cast(Mapping[str, Any], self.objects[path])
