"""Writes docs/metrics.md from the catalog of metrics; `--check` writes nothing and compares."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from bulkhead.monitoring.catalog import PROGRAMS, Metric
from tools.generated_files import ROOT, check_asked, settle

PAGE = ROOT / "docs/metrics.md"
REMEDY = "make gen-metrics"
HEAD = """\
<!-- Made from agent/bulkhead/monitoring/catalog.py by tools/gen_metrics.py: `make gen-metrics`. -->
# Metrics and health

All programs answer over HTTP at the address of `--monitoring` (in the chart: port 7444 of their pods,
`monitoring`), without TLS and to anybody: nothing that is told there is a secret. The chart's `networkPolicy` says who
may ask.

| path | what it says |
|---|---|
| `/healthz` | whether the program lives: its loops turn. 503 where not, and it should be started anew |
| `/readyz` | whether it does its work. 503 where not, with what is wrong. See below |
| `/metrics` | everything below, as text or as OpenMetrics, with `process_*` of the process |

**Ready is an agent that enforces what it should**: its programs are loaded (`programs`), it has heard all policies and
containers once and looked within the last minute (`sync`), and no container is behind (`containers`). An API server or
a collector that is away does not make it unready: what it was told goes on being enforced, and violations wait in its
spool. Watch `bulkhead_watch_silence_seconds` and `bulkhead_stream_connected` for those. An agent that takes everything
out of its node (`--remove`) is ready when it has (`removed`).

**Ready is a collector that takes violations**: its loop turns (`loop`), and its store could be written to the last time
that was tried, every five seconds where it could not (`store`). By gRPC, `grpc.health.v1.Health` says the same of
`bulkhead.v1.Ingest`; `bulkhead.v1.Violations` goes on being served where the store cannot be written.

**Ready is a controller that waits to be elected**, or leads and has listed all that it sums up (`watches`).

No label has values that users make up: which container, policy or pod is meant is in the violations and in the
`NodeState` objects (`bulkhead status`). The chart has alerts and a dashboard for these metrics: `monitoring` in its
values.
"""


def page() -> str:
    """The whole page."""
    sections = [f"\n## {program.capitalize()}\n\n{_table(metrics)}" for program, metrics in PROGRAMS.items()]
    return HEAD + "".join(sections)


def _table(metrics: Iterable[Metric]) -> str:
    rows = ["| metric | type | meaning |", "|---|---|---|", *map(_row, metrics)]
    return "".join(f"{row}\n" for row in rows)


def _row(metric: Metric) -> str:
    return f"| `{metric.name}` | {metric.kind} | {' '.join(_sentences(metric))} |"


def _sentences(metric: Metric) -> Iterator[str]:
    yield metric.meaning
    for name, values in metric.labels:
        yield f"`{name}`: {values}."


def main() -> int:
    """Write or check. Returns the exit status."""
    return settle({PAGE: page()}, check=check_asked(__doc__), remedy=REMEDY)


if __name__ == "__main__":
    sys.exit(main())
