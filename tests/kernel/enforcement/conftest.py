"""One loaded instance for the whole suite: loading is slow under emulation, and a node has one too."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance
from bulkhead.node import cgroups
from tests.kernel.enforcement.box import Bench
from tests.kernel.enforcement.echo import Peers, serving

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """The instance, loaded for real."""
    instance = load_instance(bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles")))
    yield Bench(instance)
    instance.close()


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A cgroup of no container."""
    made = cgroups.create(cgroups.mount_point() / f"elsewhere-{os.getpid()}-{next(_numbers)}")
    yield made.path
    cgroups.remove(made.path)


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    """Echo servers outside the box."""
    with serving() as made:
        yield made
