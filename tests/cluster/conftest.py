"""The cluster that these tests share: booted once a suite, ended with it.

With BULKHEAD_CLUSTER=up the tests use the one that `make cluster` left up, and leave it up: for those who write tests.
"""

from __future__ import annotations

import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tools.cluster import start
from tools.cluster.cluster import Cluster


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
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert capture is not None
    with ExitStack() as ends:
        with capture.global_and_fixture_disabled():
            made = ends.enter_context(start.for_us())
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a namespace of the test's own, in which pods can be created; it goes with the test."""
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("--namespace", name, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
