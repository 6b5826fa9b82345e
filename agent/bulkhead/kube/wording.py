"""Failures of connections in a few words: what HTTP libraries say is about their own insides."""

from __future__ import annotations

import http.client
import ssl

from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProtocolError, ReadTimeoutError


def reason_of(error: BaseException) -> str:
    """The innermost cause that says something: an operating system's word, TLS's, or the library's in one line."""
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return "no connection in time"
    if isinstance(error, ReadTimeoutError):
        return "no answer in time"
    if isinstance(error, ProtocolError) and any(isinstance(each, http.client.IncompleteRead) for each in error.args):
        return "the connection was closed within the answer"
    found = str(error) or type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            found = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(found.split())
