"""Bulkhead installed in the cluster by Helm, a shop with two pods, and a subscriber: what these tests look at.

`web` is what the policy of examples/web.yaml selects, `free` is the same pod without the label: what is denied in one
must work in the other, or the test shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.enforcement.install import ensure_installed
from tests.cluster.enforcement.shop import POLICY, Shop, pod
from tests.cluster.enforcement.subscriber import Subscriber
from tools.cluster.cluster import Cluster


@pytest.fixture
def installed(cluster: Cluster) -> Cluster:
    """The cluster, with the chart of this checkout and agents that are ready."""
    ensure_installed(cluster)
    return cluster


@pytest.fixture(scope="session")
def shop_made(cluster: Cluster) -> Iterator[Shop]:
    """The namespace and its pods, once for all tests."""
    shop = Shop(cluster)
    cluster.kubectl("create", "namespace", shop.namespace)
    shop.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    shop.create(pod("web", "web"), pod("free", "free"))
    yield shop
    cluster.kubectl("delete", "namespace", shop.namespace, "--wait=false")


@pytest.fixture
def shop(installed: Cluster, shop_made: Shop) -> Shop:
    """The shop under its policy, which is in force."""
    installed.kubectl("apply", "-f", str(POLICY))
    shop_made.await_enforced(shop_made.policy())
    return shop_made


@pytest.fixture
def subscriber(installed: Cluster) -> Iterator[Subscriber]:
    """`bulkhead events --follow`, from now on."""
    following = Subscriber(installed)
    yield following
    following.end()
