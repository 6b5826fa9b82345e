"""Channels to a collector: plain, or TLS with a client certificate. Used by the agent and by subscribers.

The files are read each time a channel is made, so that renewed certificates are taken up at the next reconnect. Next
step: `report.stream`, `cli.events`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc

from bulkhead.errors import UsageError

OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),  # a peer that vanished without a word is noticed
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.enable_retries", 0),  # who calls knows better when to try again, and from where
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, with what the files say now
    ("grpc.max_receive_message_length", 16 << 20),
]


@dataclass(frozen=True)
class TlsFiles:
    """PEM files. `authority` signs the other side; `certificate` and `key` are one's own and go together."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


def read_pem(path: Path) -> bytes:
    """The file's bytes. Raises UsageError that names it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; nothing was sent or received") from error


def open_channel(address: str, tls: TlsFiles | None) -> grpc.Channel:
    """A channel to host:port; plain where `tls` is None. Connects on first use. Raises UsageError for files."""
    if tls is None:
        return grpc.insecure_channel(address, OPTIONS)
    if (tls.certificate is None) != (tls.key is None):
        raise UsageError("a TLS certificate and its key go together: give both or neither")
    authority = read_pem(tls.authority) if tls.authority else None
    key = read_pem(tls.key) if tls.key else None
    certificate = read_pem(tls.certificate) if tls.certificate else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(authority, key, certificate), OPTIONS)
