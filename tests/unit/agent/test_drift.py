"""The check of the maps: every few minutes, counted, and never the end of the agent."""

from __future__ import annotations

from collections import Counter

from bulkhead.agent.drift import CHECK_S, DriftCheck
from bulkhead.errors import KernelUnable


class Maps:
    """Maps of which some entries are wrong, or that cannot be written."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.wrong: Counter[str] = Counter()
        self.failure: KernelUnable | None = None
        self.asked = 0
        self.check = DriftCheck(self.repair, lambda: self.now_s, lambda: 0.5)

    def repair(self) -> Counter[str]:
        """As `Enforcer.repair`."""
        self.asked += 1
        if self.failure:
            raise self.failure
        return self.wrong

    def after(self, pause_s: float) -> dict[tuple[str, tuple[str, ...]], float]:
        """What is told after a look so much later."""
        self.now_s += pause_s
        self.check.step()
        return {(sample.metric.name, sample.labels): float(sample.value) for sample in self.check.samples()}


def test_the_maps_are_looked_at_every_few_minutes() -> None:
    """Not at each look for changes, nor at once after the start; by chance not on all nodes at the same time."""
    maps = Maps()
    assert [maps.after(CHECK_S) and maps.asked for _ in range(4)] == [0, 1, 1, 2]
    assert maps.after(0)["bulkhead_drift_checks_total", ()] == 2


def test_what_was_written_again_is_counted() -> None:
    """By map, over all checks; where there is nothing, too."""
    maps = Maps()
    maps.wrong = Counter(bindings=2)
    maps.after(2 * CHECK_S)
    told = maps.after(2 * CHECK_S)
    assert told["bulkhead_drift_repairs_total", ("bindings",)] == 4
    assert told["bulkhead_drift_repairs_total", ("containers",)] == 0


def test_what_cannot_be_mended_is_tried_again() -> None:
    """The agent goes on, and says so."""
    maps = Maps()
    maps.failure = KernelUnable("map bindings: an entry cannot be written")
    assert maps.after(2 * CHECK_S)["bulkhead_drift_checks_total", ()] == 0
    maps.failure = None
    assert maps.after(2 * CHECK_S)["bulkhead_drift_checks_total", ()] == 1
