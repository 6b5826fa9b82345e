"""gRPC's threads, kept from the first channel or server to the end of the process.

gRPC ends them with its last channel or server, and waits for them while it holds Python's global lock. One of them may
be asking Python for a certificate or a token just then, and waits for that lock: whoever closes, the collector's loop
among them, never goes on (seen with 1.85; https://github.com/grpc/grpc/pull/42247). One channel that is never used
keeps them. Next step: `report.channel`, `collector.server`.
"""

from __future__ import annotations

from functools import cache

import grpc

NOWHERE = "ipv4:127.0.0.1:9"  # nothing connects before there is a call


@cache
def keep_engine() -> grpc.Channel:
    """The channel, which is made once."""
    return grpc.insecure_channel(NOWHERE)
