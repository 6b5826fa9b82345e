"""A stress run fails for what grew, and for nothing else."""

from __future__ import annotations

from dataclasses import replace

from tests.stress.measure import KERNEL_KIB, PROCESS_KIB, Sample, grown

BEFORE = Sample({"anchors": 0, "repeats": 3}, {"arena": 10}, process_kib=50_000, kernel_kib=90_000)


def test_what_stays_or_shrinks_is_no_growth() -> None:
    """Memory may move by what caches and allocators hold."""
    after = Sample(
        {"anchors": 0, "repeats": 0}, {"arena": 10}, BEFORE.process_kib + PROCESS_KIB, BEFORE.kernel_kib + KERNEL_KIB
    )
    assert grown(BEFORE, after) == []


def test_each_thing_that_grew_is_named() -> None:
    """With both numbers."""
    after = replace(BEFORE, entries={"anchors": 1, "repeats": 3}, taken={"arena": 11}, process_kib=60_000)
    assert grown(BEFORE, after) == [
        "entries of anchors: 0 before, 1 after",
        "arena: 10 before, 11 after",
        "memory of the process: 50000 KiB before, 60000 KiB after",
    ]
