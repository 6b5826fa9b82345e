"""Channels to a collector: plain, or TLS with a client certificate or a token. Used by the agent and by subscribers.

Certificates and tokens are read each time a channel is made, so that renewed ones are taken up at the next reconnect.
A token is sent over TLS only, with each call. Next step: `report.stream`, `cli.events`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc

from bulkhead.errors import UsageError
from bulkhead.report.engine import keep_engine

OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),  # a peer that vanished without a word is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.enable_retries", 0),  # who calls knows better when to try again, and from where
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, with what the files say now
    ("grpc.max_receive_message_length", 16 << 20),
]
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750


@dataclass(frozen=True)
class Pems:
    """What TLS needs, as PEM. `server_name` is what the other side's certificate must be for; empty: the address.

    `token`, where it is not empty, says who calls.
    """

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None
    server_name: str = ""
    token: str = field(default="", repr=False)


class Tls(Protocol):
    """Where certificates come from."""

    def read(self) -> Pems:
        """Those of now. Raises `BulkheadError`."""
        ...


@dataclass(frozen=True)
class TlsFiles:
    """PEM files, and a token's. `authority` signs the other side; `certificate` and `key` are one's own, together."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    server_name: str = ""
    token: Path | None = None

    def read(self) -> Pems:
        """What the files hold now. Raises UsageError."""
        if (self.certificate is None) != (self.key is None):
            raise UsageError("a TLS certificate and its key go together: give both or neither")
        authority, certificate, key = (
            read_pem(path) if path else None for path in (self.authority, self.certificate, self.key)
        )
        return Pems(authority, certificate, key, self.server_name, read_token(self.token) if self.token else "")


def read_pem(path: Path) -> bytes:
    """The file's bytes. Raises UsageError that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; nothing was sent or received") from error


def read_token(path: Path) -> str:
    """The token that is alone in a file. Raises UsageError that names the file."""
    token = read_pem(path).decode(errors="replace").strip()
    if not TOKEN.fullmatch(token):
        raise UsageError(f"{path}: there is no token in it, alone and on one line; nothing was sent or received")
    return token


def open_channel(address: str, tls: Tls | None) -> grpc.Channel:
    """A channel to host:port; plain where `tls` is None. Connects on first use. Raises what `tls` raises."""
    keep_engine()
    if tls is None:
        return grpc.insecure_channel(address, OPTIONS)
    pems = tls.read()
    options: list[tuple[str, int | str]] = [*OPTIONS]
    if pems.server_name:
        options.append(("grpc.ssl_target_name_override", pems.server_name))
    credentials = grpc.ssl_channel_credentials(pems.authority, pems.key, pems.certificate)
    if pems.token:
        caller = grpc.access_token_call_credentials(pems.token)
        credentials = grpc.composite_channel_credentials(credentials, caller)
    return grpc.secure_channel(address, credentials, options)
