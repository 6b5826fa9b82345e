"""Requests to an API server: JSON in, JSON out, every failure one of `kube.errors`.

On the official client, for its configuration, credentials and TLS; its models are left alone, because an agent keeps
thousands of objects and reads a few fields of each. Next step: `kube.config` for where the server is, `kube.stream` for
watches.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from bulkhead import __version__
from bulkhead.kube.config import load_configuration
from bulkhead.kube.errors import ApiRefused, no_answer, refusal
from bulkhead.kube.kubeconfig import ANY, Choice
from bulkhead.kube.stream import EventStream
from bulkhead.kube.wording import reason_of

Body = Mapping[str, Any]
Query = Mapping[str, str]

CONNECT_S = 5.0
ANSWER_S = 60.0  # the API server's own limit of a request
JSON_TYPE = "application/json"
APPLY_TYPE = "application/apply-patch+yaml"
MERGE_TYPE = "application/merge-patch+json"
REASON_CHARACTERS = 600


def connect(choice: Choice = ANY) -> Api:
    """An API server, as a kubeconfig or the pod that this runs in says; nothing is sent yet. Raises `UsageError`.

    The first of: the kubeconfig that was chosen, the files of KUBECONFIG, ~/.kube/config, the pod's service account.
    The service account's token is read anew every minute: the kubelet renews it.
    """
    return Api(load_configuration(choice))


@dataclass(frozen=True)
class Request:
    """What is asked. `answer_s`: how long to wait for the answer's head, and between two parts of it."""

    method: str
    path: str
    query: Query | None = None
    body: Body | Sequence[Body] | None = None
    content_type: str = JSON_TYPE
    answer_s: float = ANSWER_S

    @property
    def action(self) -> str:
        """How messages call it."""
        return "watch" if "watch" in (self.query or ()) else self.method


class Requests:
    """How many requests were made, by what was asked and the status of the answer; 0 where there was none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, int]] = Counter()

    def count(self, action: str, status: int) -> None:
        """One more."""
        with self._lock:
            self._counts[action.lower(), status] += 1

    def counts(self) -> dict[tuple[str, int], int]:
        """All of them."""
        with self._lock:
            return dict(self._counts)


class Api:
    """One API server. Any number of threads may use it."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.server = str(configuration.host)
        self.requests = Requests()
        self._client = ApiClient(configuration)
        self._send = cast(Any, self._client.rest_client.request)  # has no types

    def get(self, path: str, query: Query | None = None, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """An object or a list. All of these raise `ApiRefused` and `Unreachable`."""
        return self._exchange(Request("GET", path, query, answer_s=timeout_s))

    def post(self, path: str, body: Body, query: Query | None = None, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """Create an object in the collection `path`."""
        return self._exchange(Request("POST", path, query, body, answer_s=timeout_s))

    def put(self, path: str, body: Body) -> dict[str, Any]:
        """Replace an object; where `body` has its resourceVersion, only that version of it: else `Conflict`."""
        return self._exchange(Request("PUT", path, None, body))

    def patch(
        self, path: str, body: Body | Sequence[Body], content_type: str, query: Query | None = None
    ) -> dict[str, Any]:
        """Change an object; `content_type` says how `body` is meant: `APPLY_TYPE`, `MERGE_TYPE`…"""
        return self._exchange(Request("PATCH", path, query, body, content_type))

    def delete(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """Delete an object."""
        return self._exchange(Request("DELETE", path, query))

    def stream(self, path: str, query: Query, answer_s: float, silence_s: float) -> EventStream:
        """A watch. `answer_s` until it is accepted, `silence_s` between two events or bookmarks."""
        response = self._request(Request("GET", path, {**query, "watch": "true"}, answer_s=answer_s))
        stream = EventStream(response, self._about("watch", path), reason_of)
        stream.allow_silence(silence_s)
        return stream

    def url(self, path: str, query: Query | None = None) -> str:
        """The whole address of `path`."""
        return self.server + path + ("?" + urlencode(query) if query else "")

    def credentials(self) -> dict[str, str]:
        """The headers that say who asks. Raises `Unreachable` where they cannot be read now."""
        try:
            token = self.configuration.get_api_key_with_prefix("BearerToken")
        except (ConfigException, OSError) as error:
            raise no_answer(self._about("credentials", ""), reason_of(error)) from error
        return {"authorization": token} if token else {}

    def token(self) -> str:
        """The bearer token among the credentials; empty where they are others. Raises `Unreachable`."""
        scheme, _, token = self.credentials().get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def close(self) -> None:
        """Close idle connections."""
        self._client.rest_client.pool_manager.clear()

    def _exchange(self, request: Request) -> dict[str, Any]:
        response, about = self._request(request), self._about(request.action, request.path)
        try:
            answer = json.loads(response.data)
        except (HTTPError, OSError) as error:
            raise no_answer(about, reason_of(error)) from error
        except ValueError as error:
            raise no_answer(about, "the answer is not JSON") from error
        if not isinstance(answer, dict):
            raise no_answer(about, "the answer is no JSON object")
        return answer

    def _request(self, request: Request) -> urllib3.BaseHTTPResponse:
        """The response, its body not read yet."""
        headers = {"Accept": JSON_TYPE, "Accept-Encoding": "gzip", "User-Agent": f"bulkhead/{__version__}"}
        headers |= self.credentials()
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        url, about = self.url(request.path, request.query), self._about(request.action, request.path)
        times_s = (CONNECT_S, request.answer_s)
        try:
            answer = self._send(request.method, url, headers, request.body, _request_timeout=times_s)
        except (ApiException, HTTPError, OSError) as error:
            self.requests.count(request.action, 0)
            raise no_answer(about, reason_of(error)) from error
        response = cast(urllib3.BaseHTTPResponse, answer.response)
        self.requests.count(request.action, response.status)
        if not 200 <= response.status <= 299:
            raise self._refused(response, about)
        return response

    def _refused(self, response: urllib3.BaseHTTPResponse, about: str) -> ApiRefused:
        try:
            content = response.data
        except (HTTPError, OSError):
            content = b""
        wish = response.headers.get("Retry-After", "")
        text = _message(content) or response.reason or "no reason given"
        return refusal(about, response.status, text, float(wish) if wish.isdecimal() else 0.0)

    def _about(self, action: str, path: str) -> str:
        return f"API server {self.server}: {action} {path}".rstrip()


def _message(content: bytes) -> str:
    """What a Status object says, or the beginning of whatever else was answered."""
    try:
        status = json.loads(content)
    except ValueError:
        return " ".join(content.decode(errors="replace").split())[:REASON_CHARACTERS]
    return str(status.get("message", ""))[:REASON_CHARACTERS] if isinstance(status, dict) else ""
