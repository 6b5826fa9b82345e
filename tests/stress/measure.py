"""What is held when no container is under a policy any more: by maps, by the kernel, by this process."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path

from bulkhead import abi
from bulkhead.kernel.tables import IDLE_NS
from tests.kernel.enforcement.box import Bench

# What memory may differ by without anything being lost: the kernel's caches, and the allocators' own rooms.
PROCESS_KIB = 4_096
KERNEL_KIB = 24_576

COUNTED = (abi.MapType.HASH, abi.MapType.LPM_TRIE)


@dataclass(frozen=True)
class Sample:
    """Entries by map, numbers taken in the maps that are shared by ranges, KiB of memory."""

    entries: dict[str, int]
    taken: dict[str, int]
    process_kib: int
    kernel_kib: int

    def __str__(self) -> str:
        entries = ", ".join(f"{name} {number}" for name, number in self.entries.items() if number)
        return f"entries: {entries or 'none'}; process {self.process_kib} KiB; kernel {self.kernel_kib} KiB"


def sample(bench: Bench) -> Sample:
    """Now, with what can be given back given back."""
    time.sleep(IDLE_NS / 1e9 + 1)  # after which aggregated violations are swept
    bench.pump.take_over()
    bench.kept.entries.clear()
    gc.collect()
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    room = bench.enforcer._sets._room
    taken = {name: getattr(room, name).used() for name in ("arena", "outcomes", "classes")}
    taken |= {"sets": len(room.ids._taken), "containers": len(bench.enforcer.containers())}
    taken["ledger"] = len(bench.reporter.ledger.told)
    return Sample(
        entries={each.name: len(list(bench.instance.maps[each.name])) for each in abi.MAPS if each.type in COUNTED},
        taken=taken,
        process_kib=_kib("/proc/self/status", "VmRSS"),
        kernel_kib=_kib("/proc/meminfo", "SUnreclaim") + _kib("/proc/meminfo", "VmallocUsed"),
    )


def grown(before: Sample, after: Sample) -> list[str]:
    """What is more than it was, beyond what memory may differ by."""
    kinds = [("entries of ", before.entries, after.entries), ("", before.taken, after.taken)]
    found = [
        f"{kind}{name}: {old[name]} before, {new[name]} after"
        for kind, old, new in kinds
        for name in new
        if new[name] > old[name]
    ]
    for what, old_kib, new_kib, allowed_kib in (
        ("process", before.process_kib, after.process_kib, PROCESS_KIB),
        ("kernel", before.kernel_kib, after.kernel_kib, KERNEL_KIB),
    ):
        if new_kib > old_kib + allowed_kib:
            found.append(f"memory of the {what}: {old_kib} KiB before, {new_kib} KiB after")
    return found


def _kib(file: str, field: str) -> int:
    lines = Path(file).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
