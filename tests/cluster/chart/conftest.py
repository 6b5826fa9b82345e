"""Helm, and the chart as it renders it. No cluster is asked: what needs one is in the folder above."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.chart.objects import CHART, NAMESPACE, ROOT, Objects, Render


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Helm: that of the bench, or the one that HELM names."""
    program = Path(os.environ.get("HELM", ROOT / ".cache/cluster/bin/helm"))
    if not program.exists():
        pytest.fail(f"{program}: no Helm there; make test-cluster builds it, HELM names another")

    def run(*arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        given = ("--values", "-") if values is not None else ()
        text = yaml.safe_dump(dict(values or {}))
        return subprocess.run(
            [program, *arguments, *given], input=text, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """The chart's objects, by kind and name, for some values."""

    def objects(
        values: Mapping[str, Any] | None = None, *, release: str = "bulkhead", kubernetes: str = "1.36.0"
    ) -> Objects:
        options = ("--namespace", NAMESPACE, "--kube-version", kubernetes)
        done = helm("template", release, str(CHART), *options, values=values or {})
        assert done.returncode == 0, done.stderr
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        found = {(document["kind"], document["metadata"]["name"]): document for document in documents}
        assert len(found) == len(documents)
        return found

    return objects
