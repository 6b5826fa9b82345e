"""Writes the chart's dashboard for Grafana from the list below; `--check` writes nothing and compares.

A dashboard as Grafana exports it is a thousand lines that nobody reviews: here a panel is a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tools.generated_files import ROOT, check_asked, settle

FILE = ROOT / "deploy/helm/bulkhead/files/dashboard.json"
REMEDY = "make gen-dashboard"
WIDTH, HEIGHT, COLUMNS = 8, 7, 3


class Panel(NamedTuple):
    """`shown` is how a series is called, `unit` one of Grafana's."""

    title: str
    expression: str
    shown: str
    unit: str = "short"


ROWS: dict[str, list[Panel]] = {
    "Enforcement": [
        Panel("Agents that are not ready", "sum(min by (node) (bulkhead_ready) == bool 0)", "agents"),
        Panel("Containers", "sum by (state) (bulkhead_containers)", "{{state}}"),
        Panel("Policies", "max by (state) (bulkhead_policies)", "{{state}}"),
        Panel(
            "A change made so, 99 of 100",
            "histogram_quantile(0.99, sum by (le) (rate(bulkhead_sync_duration_seconds_bucket[5m])))", "p99", "s",
        ),
        Panel("Attempts that failed", "sum by (node) (rate(bulkhead_sync_failures_total[5m]))", "{{node}}", "ops"),
        Panel(
            "Limits and errors in the kernel",
            'sum by (event) (rate(bulkhead_kernel_events_total{event!="records"}[5m]))', "{{event}}", "ops",
        ),
    ],
    "Violations": [
        Panel("Taken down", "sum by (verdict) (rate(bulkhead_violations_total[5m]))", "{{verdict}}", "ops"),
        Panel("Counted only", "sum by (reason) (rate(bulkhead_gap_violations_total[5m]))", "{{reason}}", "ops"),
        Panel("Waiting on nodes", "topk(10, bulkhead_spool_pending_entries)", "{{node}}"),
        Panel("Agents connected", "sum(bulkhead_collector_agents)", "agents"),
        Panel("Committed", "sum(rate(bulkhead_collector_committed_entries_total[5m]))", "entries", "ops"),
        Panel(
            "A commit, 99 of 100",
            "histogram_quantile(0.99, sum by (le) (rate(bulkhead_collector_commit_duration_seconds_bucket[5m])))",
            "p99", "s",
        ),
        Panel("Store", "bulkhead_collector_store_bytes", "{{pod}}", "bytes"),
        Panel("Subscribers", "sum(bulkhead_collector_subscribers)", "readers"),
    ],
    "API server and programs": [
        Panel("Silence of the API server", "topk(10, max by (node) (bulkhead_watch_silence_seconds))", "{{node}}", "s"),
        Panel("Requests", "sum by (verb, code) (rate(bulkhead_api_requests_total[5m]))", "{{verb}} {{code}}", "ops"),
        Panel("Watches that failed", "sum by (error) (rate(bulkhead_watch_errors_total[5m]))", "{{error}}", "ops"),
        Panel("Memory", "topk(10, process_resident_memory_bytes * on (job, instance) bulkhead_build_info)",
              "{{instance}}", "bytes"),
        Panel("CPU", "topk(10, rate(process_cpu_seconds_total[5m]) * on (job, instance) bulkhead_build_info)",
              "{{instance}}", "short"),
        Panel("Versions", "count by (program, version) (bulkhead_build_info)", "{{program}} {{version}}"),
    ],
}  # fmt: skip


def dashboard() -> dict[str, Any]:
    """As Grafana reads it."""
    return {
        "uid": "bulkhead",
        "title": "Bulkhead",
        "tags": ["security"],
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [{"name": "source", "type": "datasource", "query": "prometheus"}]},
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    y = 0
    for title, panels in ROWS.items():
        yield {"type": "row", "title": title, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        y += 1
        for number, panel in enumerate(panels):
            place = {"x": number % COLUMNS * WIDTH, "y": y + number // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            yield _panel(panel, place)
        y += -(-len(panels) // COLUMNS) * HEIGHT


def _panel(panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "type": "timeseries",
        "title": panel.title,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "datasource": source, "expr": panel.expression, "legendFormat": panel.shown}],
    }


def main() -> int:
    """Write or check. Returns the exit status."""
    text = json.dumps(dashboard(), indent=1) + "\n"
    return settle({FILE: text}, check=check_asked(__doc__), remedy=REMEDY)


if __name__ == "__main__":
    sys.exit(main())
