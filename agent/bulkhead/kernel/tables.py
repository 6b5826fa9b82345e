"""Reads what programs count: repeats that were aggregated, exact counters of violations.

Counts only ever grow while an entry lives, so a reader takes differences and programs need no locks. Next step:
`bulkhead.agent.pump` passes them to the reporter.
"""

from __future__ import annotations

import struct
import time

from bulkhead import abi
from bulkhead.kernel.maps import Map, pack

IDLE_NS = 5 * abi.REPEAT_WINDOW_NS  # an entry that has not grown for so long is removed
_U64 = struct.Struct("<Q")


class RepeatTable:
    """The map `repeats`, swept: what came since the last time.

    What an earlier process had told of an entry is not known: its first sweep gives the entry whole.
    """

    def __init__(self, repeats: Map) -> None:
        self._map = repeats
        self._told: dict[bytes, abi.Repeat] = {}

    def sweep(self, everything: bool = False) -> list[tuple[bytes, bytes]]:
        """(struct repeat_key, struct repeat) with the counts since the last sweep; idle entries are removed.

        `everything` removes all entries: nothing happens any more.
        """
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        swept = []
        for key, raw in self._map.items():
            value = abi.Repeat.from_buffer_copy(raw)
            idle = everything or now - value.last_ns > IDLE_NS
            if idle:
                value = abi.Repeat.from_buffer_copy(self._map.take(key) or raw)
            told = self._told.pop(key, abi.Repeat(first_ns=value.first_ns))
            fresh = abi.Repeat(
                first_ns=max(told.last_ns, min(value.first_ns, value.last_ns)),
                last_ns=value.last_ns,
                count=value.count - told.count,
            )
            if fresh.count:
                swept.append((key, pack(fresh)))
            if not idle:
                self._told[key] = value
        return swept


def read_counters(counters: Map) -> dict[tuple[int, int, int, int], int]:
    """Violations by (container, set, rule, verdict)."""
    read = {}
    for key, value in counters.items():
        name = abi.CounterKey.from_buffer_copy(key)
        read[name.container, name.set, name.rule, name.verdict] = _U64.unpack(value)[0]
    return read
