"""A real API server without any node, for what needs none: it answers some seconds after its start.

Its ports are those of the cluster of the folder above, so it ends with each file, before that one begins. Next step:
`tools.cluster.control_plane`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from bulkhead.kube.client import Api, connect
from bulkhead.kube.conditions import find
from bulkhead.kube.kubeconfig import Choice
from tests.cluster.chart.objects import CHART
from tests.cluster.waiting import await_true
from tools.cluster import BIN, addresses, control_plane, credentials
from tools.cluster.credentials import Credentials

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Credentials]:
    """Who is known to an API server that is up, with our CRDs in it."""
    missing = [name for name in ("etcd", "kube-apiserver") if not (BIN / name).exists()]
    if missing:
        pytest.fail(f"{', '.join(missing)} not built yet: python -m tools.cluster build")
    taken = [text for text in addresses.obstacles() if "etcd" in text or "API server" in text]
    if taken:
        pytest.fail("; ".join(taken))
    folder = tmp_path_factory.mktemp("api-server")
    made = credentials.make(folder / "credentials")
    with ExitStack() as ends:
        control_plane.start_api_server(made, folder, ends)
        create_crds(connect(Choice(made.kubeconfig("admin"))))
        yield made


@pytest.fixture(scope="module")
def api(identities: Credentials) -> Api:
    """The API server, as its administrator."""
    return connect(Choice(identities.kubeconfig("admin")))


@pytest.fixture(scope="module")
def kubeconfig(identities: Credentials) -> Path:
    """The administrator's."""
    return identities.kubeconfig("admin")


def create_crds(api: Api) -> None:
    """All of the chart's, served."""
    for path in sorted((CHART / "crds").glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        api.post(CRD, definition)
        name = definition["metadata"]["name"]
        await_true(
            lambda name=name: find(
                (api.get(f"{CRD}/{name}").get("status") or {}).get("conditions") or (), "Established"
            ).get("status") == "True",
            f"{name} is not served",
        )  # fmt: skip
