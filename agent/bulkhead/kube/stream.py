"""One watch: the lines of a response that does not end, as events. Ended from any thread.

Resource versions and lists are the business of `kube.reflector`; this knows JSON lines and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import urllib3
from urllib3.exceptions import HTTPError

from bulkhead.errors import Unreachable
from bulkhead.kube.errors import no_answer, refusal

Event = dict[str, Any]  # {"type": …, "object": {…}}
Heard = Callable[[], None]

READ_BYTES = 1 << 16
LINE_BYTES_LIMIT = 16 << 20  # etcd takes objects of 1.5 MB; JSON makes them a few times larger at worst


class EventStream:
    """Iterate over it once; `close` it in any case. `about` begins each message."""

    def __init__(self, response: urllib3.BaseHTTPResponse, about: str, reason_of: Callable[[Exception], str]) -> None:
        self._response, self._about, self._reason_of = response, about, reason_of
        self._ended = False

    def allow_silence(self, seconds: float) -> None:
        """From now on, nothing being heard for so long is an error."""
        connection = cast(Any, self._response.connection)  # its socket is not in urllib3's types
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(seconds)

    def events(self, heard: Heard) -> Iterator[Event]:
        """Events until the server ends the stream; `heard` is called whenever bytes come.

        Raises `ApiRefused` for an error in the stream, and `Unreachable`: connection lost or ended within a line,
        silence, nonsense.
        """
        pending = b""
        while chunk := self._read():
            heard()
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield self._event(line)
            if len(pending) > LINE_BYTES_LIMIT:
                raise no_answer(self._about, f"a line of more than {LINE_BYTES_LIMIT} bytes")
        if pending.strip() and not self._ended:
            raise no_answer(self._about, "ended within a line")

    def end(self) -> None:
        """Make a blocked reader return, from any thread."""
        self._ended = True
        try:
            self._response.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # it has ended by itself

    def close(self) -> None:
        """Give the connection up. Only by the thread that reads."""
        self._response.close()

    def _read(self) -> bytes:
        """The next bytes, empty at the end."""
        try:
            return self._response.read1(READ_BYTES)
        except (HTTPError, OSError) as error:
            if self._ended:
                return b""
            raise no_answer(self._about, self._reason_of(error)) from error

    def _event(self, line: bytes) -> Event:
        try:
            event = json.loads(line)
            kind, value = event["type"], event["object"]
        except (ValueError, KeyError, TypeError) as error:
            raise no_answer(self._about, "a line that is no watch event") from error
        if not isinstance(kind, str) or not isinstance(value, dict):
            raise no_answer(self._about, "a line that is no watch event")
        if kind == "ERROR":
            raise self._refused(value)
        return cast(Event, event)

    def _refused(self, status: dict[str, Any]) -> Unreachable:
        code, details = status.get("code"), status.get("details")
        wish = details.get("retryAfterSeconds") if isinstance(details, dict) else 0
        text = str(status.get("message") or status.get("reason") or "no reason given")
        if not isinstance(code, int):
            return no_answer(self._about, text)
        return refusal(self._about, code, text, float(wish) if isinstance(wish, int) else 0.0)
