"""Who may view a namespace may view its violations: by a real controller manager, which makes `view` of its parts.

It is started here with that one controller. The role is the chart's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bulkhead.kube.client import Api
from bulkhead.kube.objects import collection_path
from bulkhead.kube.reviews import ACCESS_REVIEWS, GROUP, RESOURCE
from tests.cluster.api_server.test_admission import RBAC
from tests.cluster.chart.objects import Render
from tests.cluster.waiting import await_true
from tools.cluster import BIN, control_plane, programs
from tools.cluster.credentials import Credentials

ROLE = "bulkhead-violations-viewer"
VIEW = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}


@pytest.fixture(scope="module", autouse=True)
def controller_manager(identities: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """With the controller that aggregates roles alone."""
    if not (BIN / "kube-controller-manager").exists():
        pytest.fail("kube-controller-manager not built yet: python -m tools.cluster build")
    arguments = control_plane.controller_manager_arguments(identities)
    only = [each for each in arguments if not each.startswith("--controllers")]
    folder = tmp_path_factory.mktemp("controller-manager")
    program = programs.start("kube-controller-manager", [*only, "--controllers=clusterrole-aggregation"], folder)
    yield
    program.end()


@pytest.fixture(scope="module", autouse=True)
def bound(api: Api) -> None:
    """User anna may view namespace shop, by the cluster's own role."""
    api.post(collection_path("Namespace"), {"metadata": {"name": "shop"}})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"}
    body = {"metadata": {"name": "anna"}, "roleRef": VIEW, "subjects": [subject]}
    api.post(f"{RBAC}/namespaces/shop/rolebindings", body)


def may(api: Api, verb: str, namespace: str, resource: str = RESOURCE, group: str = GROUP) -> bool:
    """What the API server says of anna, as it is asked by the collector."""
    attributes = {"group": group, "resource": resource, "verb": verb, "namespace": namespace}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview"}
    review: dict[str, Any] = api.post(
        ACCESS_REVIEWS, {**body, "spec": {"user": "anna", "resourceAttributes": attributes}}
    )
    return review["status"].get("allowed") is True


def role(render: Render, is_part_of_view: bool) -> dict[str, Any]:
    """The chart's."""
    tokens = {"enabled": True, "aggregateToView": is_part_of_view}
    return dict(render({"collector": {"tokens": tokens}})["ClusterRole", ROLE])


def test_view_includes_violations_once_the_chart_is_installed(api: Api, render: Render) -> None:
    """In the namespace that is viewed and no other, and nothing but reading; without the label not at all."""
    await_true(lambda: may(api, "list", "shop", "pods", ""), "view has not been made of its parts")
    assert not may(api, "list", "shop")
    api.post(f"{RBAC}/clusterroles", role(render, is_part_of_view=True))
    for verb in ("list", "watch"):
        await_true(lambda verb=verb: may(api, verb, "shop"), f"view does not include {verb}")
    assert [may(api, verb, where) for verb, where in (("list", ""), ("watch", "bank"), ("delete", "shop"))] == [
        False
    ] * 3
    assert not may(api, "get", "shop", "secrets", "")
    api.delete(f"{RBAC}/clusterroles/{ROLE}")
    await_true(lambda: not may(api, "list", "shop"), "view keeps what is no part of it any more")
    api.post(f"{RBAC}/clusterroles", role(render, is_part_of_view=False))
    api.post(f"{RBAC}/clusterroles", {**role(render, is_part_of_view=True), "metadata": marked("other")})
    await_true(lambda: may(api, "list", "shop"), "the controller has stopped working")
    api.delete(f"{RBAC}/clusterroles/other")
    await_true(lambda: not may(api, "list", "shop"), "a role without the label is a part of view")


def marked(name: str) -> dict[str, Any]:
    """A part of view by another name."""
    return {"name": name, "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}}
