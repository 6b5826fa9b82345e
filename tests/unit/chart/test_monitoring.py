"""The chart's alerts and dashboard ask for metrics and labels that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bulkhead.monitoring.catalog import PROGRAMS, Kind

FILES = Path(__file__).resolve().parents[3] / "deploy/helm/bulkhead/files"
RULES = yaml.safe_load((FILES / "rules.yaml").read_text())["groups"][0]["rules"]
PANELS = [panel for panel in json.loads((FILES / "dashboard.json").read_text())["panels"] if "targets" in panel]
METRICS = {metric.name: metric for metrics in PROGRAMS.values() for metric in metrics}
GIVEN = {"node", "pod", "job", "instance", "le"}  # by the scrape, and by histograms


def asked(expression: str) -> Iterator[str]:
    """Names of our metrics in an expression, a histogram's without the suffix of its parts."""
    for name in re.findall(r"\bbulkhead_\w+", expression):
        whole = re.sub(r"_(bucket|sum|count)$", "", name)
        yield whole if whole in METRICS and METRICS[whole].kind is Kind.HISTOGRAM else name


def labels(expression: str) -> set[str]:
    """Names of labels in an expression."""
    lists = re.findall(r"\b(?:by|without|on) \(([^)]*)\)", expression)
    return {name.strip() for each in lists for name in each.split(",")} | set(
        re.findall(r"(\w+)(?:!=|=~|=)\"", expression)
    )


@pytest.mark.parametrize(
    "expression", [*(rule["expr"] for rule in RULES), *(panel["targets"][0]["expr"] for panel in PANELS)]
)
def test_expressions_ask_for_what_there_is(expression: str) -> None:
    """A metric that was renamed would be an alert that never comes."""
    names = set(asked(expression))
    assert names
    assert names <= METRICS.keys()
    assert labels(expression) <= {label for name in names for label in METRICS[name].label_names} | GIVEN


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_it_means(rule: dict[str, dict[str, str]]) -> None:
    """How bad it is, what it is, where to look."""
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}


def test_every_counter_of_trouble_is_on_the_dashboard_or_an_alert() -> None:
    """What is worth a look is looked at."""
    everywhere = " ".join([*(rule["expr"] for rule in RULES), *(panel["targets"][0]["expr"] for panel in PANELS)])
    for name in (
        "bulkhead_ready",
        "bulkhead_kernel_events_total",
        "bulkhead_gap_violations_total",
        "bulkhead_drift_repairs_total",
    ):
        assert name in everywhere
