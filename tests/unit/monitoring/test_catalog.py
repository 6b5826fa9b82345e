"""Metrics are named in Prometheus' way and described, and no label grows without bounds."""

from __future__ import annotations

import re

import pytest

from bulkhead.monitoring.catalog import PROGRAMS, Kind, Metric

EVERY = sorted({metric for metrics in PROGRAMS.values() for metric in metrics}, key=lambda metric: metric.name)
USERS = {"pod", "namespace", "policy", "container", "rule", "path", "node", "image", "cgroup", "workload", "peer"}


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_a_metric_is_named_and_described(metric: Metric) -> None:
    """Only counters end with _total; a sentence says what is counted."""
    assert re.fullmatch(r"bulkhead_[a-z]+(_[a-z]+)*", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert metric.kind is not Kind.HISTOGRAM or metric.name.endswith("_seconds")
    assert re.fullmatch(r"[A-Z].*\.|.*: 1 or 0\.", metric.meaning)


@pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)
def test_labels_have_values_of_ours(metric: Metric) -> None:
    """Never what users name: a metric has as many series on a node of thousands of pods as on an empty one."""
    assert not USERS & set(metric.label_names)
    assert all(values for _, values in metric.labels)
