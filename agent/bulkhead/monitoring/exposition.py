"""Readings as Prometheus reads them, one registry a program.

Readers are asked at each scrape, so that a metric is what is true then, and costs nothing where nobody looks.
Next step: `monitoring.server`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from bulkhead import __version__
from bulkhead.monitoring.catalog import BUILD_INFO, READY, Kind, Metric
from bulkhead.monitoring.checks import Check

# A container is bound in milliseconds, a large policy takes seconds to work out, a commit lasts 5 to 100 ms.
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Sample(NamedTuple):
    """One number. `labels` are values in the order of the metric's label names."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


Reader = Callable[[], Iterable[Sample]]


class Exposition:
    """The metrics of one program; those of its process come with them."""

    def __init__(self, program: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # when counting began: the process's start says it
        self._registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._registry)
        self.add(lambda: [Sample(BUILD_INFO, 1, (program, __version__))])

    def add(self, reader: Reader) -> None:
        """Ask this one, too, from the next scrape on."""
        self._registry.register(_Asking(reader))

    def add_checks(self, checks: Iterable[Check]) -> None:
        """Whether the program is ready, check by check."""
        known = tuple(checks)
        self.add(lambda: [Sample(READY, not check.ask(), (check.name,)) for check in known])

    def durations(self, metric: Metric) -> Callable[[float], None]:
        """What to call with seconds, for a histogram."""
        return Histogram(metric.name, metric.meaning, buckets=BUCKETS_S, registry=self._registry).observe

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """All of it and its content type, in a format that the header Accept asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Asking(Collector):
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def collect(self) -> Iterator[Family]:
        """A family a metric, of what the reader says now."""
        samples: dict[Metric, list[Sample]] = {}
        for sample in self._reader():
            samples.setdefault(sample.metric, []).append(sample)
        for metric, found in samples.items():
            kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
            family = kind(metric.name, metric.meaning, labels=metric.label_names)
            for sample in found:
                family.add_metric(sample.labels, sample.value)
            yield family
