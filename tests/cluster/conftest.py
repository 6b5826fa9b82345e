"""The cluster that these tests share: booted once a suite, ended with it.

With BULKHEAD_CLUSTER=up the tests use the one that `make cluster` left up, and leave it up: for those who write tests.
BULKHEAD_NODE_KERNEL and BULKHEAD_NODE_LSM say with what kernel and lsm= the node is booted otherwise.
Helm, and the chart as it renders it, ask no cluster.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.chart.objects import CHART, NAMESPACE, ROOT, Objects, Render
from tools.cluster import start
from tools.cluster.cluster import Cluster
from tools.cluster.node import Boot


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster that is up. What it says while it starts is shown, and its logs' ends where it does not start."""
    if os.environ.get("BULKHEAD_CLUSTER") == "up":
        found = start.found()
        if found is None:
            raise pytest.UsageError("BULKHEAD_CLUSTER=up, and no cluster is up; `make cluster` starts one")
        if not start.has_newest_images():
            warnings.warn("the cluster that is up has older images than were built since", stacklevel=1)
        yield found
        return
    asked = Boot(
        os.environ.get("BULKHEAD_NODE_KERNEL", start.DEFAULT.kernel),
        os.environ.get("BULKHEAD_NODE_LSM", start.DEFAULT.lsm),
    )
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with ExitStack() as ends:
        with capture.global_and_fixture_disabled():
            made = ends.enter_context(start.for_us(asked))
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace of the test's own, in which pods can be created; it goes with the test."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("--namespace", name, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


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
