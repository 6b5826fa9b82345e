"""Paths and limits of user space, each with its reason. Limits of the kernel side are in probes/include/abi.h.

Frozen defaults, not a registry: whoever needs other values makes another instance. Next step: the command line fills
these in, everything below takes them as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

BATCH_ENTRIES = 500  # unbatched gRPC carries 5,000 entries/s, from 100 a message on it carries 400,000
BATCH_ENTRIES_LIMIT = 1_000  # what a collector takes at most: a larger batch would delay the acknowledgement
BATCH_BYTES_LIMIT = 4 * MEBIBYTE - 4_096  # gRPC's own limit of a message, less room for its frame


@dataclass(frozen=True)
class Paths:
    """Where things are on a node. The names are settled: users and the chart rely on them."""

    state: Path = Path("/var/lib/bulkhead")
    pins: Path = Path("/sys/fs/bpf/bulkhead")
    store: Path = Path("/var/lib/bulkhead-collector")

    @property
    def spool(self) -> Path:
        """Segments of entries that no collector has acknowledged yet."""
        return self.state / "spool"


@dataclass(frozen=True)
class SpoolLimits:
    """How much a node keeps while no collector listens."""

    bytes: int = 256 * MEBIBYTE  # half a million violations: an hour of a very noisy node, and no threat to its disk
    segment_bytes: int = 8 * MEBIBYTE  # the grain of deletion; also what a flipped bit can cost at most
    memory_bytes: int = 8 * MEBIBYTE  # entries held while the disk is full, within the agent's 90 MB


@dataclass(frozen=True)
class StreamLimits:
    """How the agent speaks to a collector."""

    batch_entries: int = BATCH_ENTRIES
    batch_bytes: int = 1 * MEBIBYTE  # far below what a collector takes
    window_batches: int = 64  # sent and not acknowledged: 11 MB, covers 150 ms of commits at 200,000 entries/s
    linger_s: float = 0.1  # how long a batch waits to be filled
    backoff_first_s: float = 0.5
    backoff_last_s: float = 30.0  # a returning collector is not met by all nodes at once, nor waited for long
    acknowledgement_timeout_s: float = 60.0  # a collector that says nothing for so long is hung: reconnect


@dataclass(frozen=True)
class StoreLimits:
    """How much a collector keeps, and how it serves it."""

    retain_s: int = 7 * 86_400
    retain_bytes: int = 10 * GIBIBYTE
    queue_batches: int = 256  # received and not committed, over all agents: 256 MiB at worst, about 40 MiB normally
    page_batches: int = 16  # read at once for one reader
    lag_entries: int = 10_000  # a reader this far behind is told
    heartbeat_s: float = 10.0  # how often a reader that waits hears that the stream lives
    dead_agent_s: int = 30 * 86_400  # after which the place of an agent that was never seen again is forgotten


@dataclass(frozen=True)
class GrantLimits:
    """How long what the API server said of a token holds. A right that was taken away ends within a minute.

    That is `recheck_s`, the heartbeat of a stream and `answer_s`; `hold_s` instead of the first where the API server
    is away.
    """

    recheck_s: float = 20.0  # two requests a subscriber each time
    hold_s: float = 40.0  # an API server that restarts ends no stream
    refused_s: float = 5.0  # who was just given the right tries again
    retry_s: float = 5.0  # an API server that is away is not asked at each message
    answer_s: float = 8.0  # for all that is asked about one token
    remembered: int = 1_024  # tokens with what was asked for: 4 MiB of large ones
    threads: int = 4  # requests at once for those who are known, and as many for newcomers
    waiting: int = 64  # newcomers in line: a flood of invented tokens is not handed on
