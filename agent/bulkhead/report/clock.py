"""From the kernel's CLOCK_BOOTTIME to wall time. The offset is measured at the edge and handed in.

Boot time never jumps, wall time may (NTP, a sleeping laptop): the offset is measured anew for each batch of records.
"""

from __future__ import annotations

import time

from google.protobuf.timestamp_pb2 import Timestamp

NANOSECONDS = 1_000_000_000


def measure_offset_ns() -> int:
    """Nanoseconds to add to CLOCK_BOOTTIME to get the time since 1970-01-01 UTC, now."""
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    wall = time.time_ns()
    after = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return wall - (before + after) // 2


def timestamp(wall_ns: int) -> Timestamp:
    """The protobuf form of nanoseconds since 1970-01-01 UTC."""
    seconds, nanoseconds = divmod(wall_ns, NANOSECONDS)
    return Timestamp(seconds=seconds, nanos=nanoseconds)


def nanoseconds(moment: Timestamp) -> int:
    """Nanoseconds since 1970-01-01 UTC."""
    return moment.seconds * NANOSECONDS + moment.nanos
