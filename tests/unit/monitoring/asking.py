"""Asks a program of this process for its health and metrics, over HTTP as a kubelet does."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from bulkhead.monitoring.checks import Health
from bulkhead.monitoring.exposition import Exposition
from bulkhead.monitoring.server import MonitoringServer


@contextmanager
def served(exposition: Exposition, health: Health) -> Iterator[int]:
    """The port, for the length of a test."""
    server = MonitoringServer("127.0.0.1:0", exposition, health)
    try:
        yield server.port
    finally:
        server.close()


def ask(port: int, path: str) -> tuple[int, str]:
    """The status and the text of an answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return int(response.status), response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample of an exposition, by name and the values of its labels in the order of their names."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def families(text: str) -> set[str]:
    """Names of our metrics in an exposition, as the catalog has them; a counter's family lacks its `_total`."""
    found = text_string_to_metric_families(text)
    names = {family.name + "_total" * (family.type == "counter") for family in found}
    return {name for name in names if name.startswith("bulkhead_")}
