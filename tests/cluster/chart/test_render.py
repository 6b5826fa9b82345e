"""The chart rendered: every combination of what changes its shape, its names, and that nothing dangles.

Next step: `test_refusal` for values that are wrong, `test_programs` for what the containers are told to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.cluster.chart.objects import CHART, NAMESPACE, Object, Render

OWN_SECRETS = {"collector": "own-collector", "agent": "own-agent", "client": "own-client"}
STORES = {
    "claim": {},
    "own claim": {"existingClaim": "own-claim"},
    "emptyDir": {"enabled": False},
}
WORKLOADS = {"DaemonSet", "Deployment", "Job"}
CLUSTER_WIDE = {
    "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}  # fmt: skip
TOKENS = {
    ("ClusterRole", "bulkhead-collector"), ("ClusterRoleBinding", "bulkhead-collector"),
    ("ClusterRole", "bulkhead-violations-viewer"),
}  # fmt: skip
COMBINATIONS = [*product(STORES, (False, True), (False, True), (False, True), ("1.29.0", "1.36.0-vendor.1"))]


def chosen(store: str, own_secrets: bool, network_policy: bool, uninstall: bool) -> dict[str, Any]:
    """Values of a combination."""
    return {
        "collector": {"persistence": STORES[store]},
        "tls": {"existingSecrets": OWN_SECRETS if own_secrets else {}},
        "networkPolicy": {"enabled": network_policy},
        "uninstall": {"enabled": uninstall},
    }


def expected(
    store: str, own_secrets: bool, network_policy: bool, uninstall: bool, kubernetes: str
) -> set[tuple[str, str]]:
    """Objects of a combination."""
    policies = {
        (f"ValidatingAdmissionPolicy{kind}", name)
        for kind in ("", "Binding")
        for name in ("bulkhead-agent", *(() if own_secrets else ("bulkhead-agent-requests",)))
    }
    controller = {
        (kind, "bulkhead-controller")
        for kind in (
            "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Deployment",
            "PodDisruptionBudget",
        )
    }  # fmt: skip
    always = {
        ("ServiceAccount", "bulkhead-agent"),
        ("ClusterRole", "bulkhead-agent"),
        ("ClusterRoleBinding", "bulkhead-agent"),
        ("DaemonSet", "bulkhead-agent"),
        ("ServiceAccount", "bulkhead-collector"),
        ("Deployment", "bulkhead-collector"),
        ("Service", "bulkhead-collector"),
    }
    issued = {
        *(("Secret", f"bulkhead-{what}") for what in ("authority", "collector-cert", "client-cert")),
        ("ConfigMap", "bulkhead-collector-ca"), ("Role", "bulkhead-agent"), ("RoleBinding", "bulkhead-agent"),
    }  # fmt: skip
    hooks = {(kind, "bulkhead-uninstall") for kind in ("ServiceAccount", "Role", "RoleBinding", "Job")}
    return (
        always
        | controller
        | (policies if kubernetes != "1.29.0" else set())
        | ({("PersistentVolumeClaim", "bulkhead-collector")} if store == "claim" else set())
        | (set() if own_secrets else issued)
        | (
            {("NetworkPolicy", f"bulkhead-{who}") for who in ("agent", "collector", "controller")}
            if network_policy
            else set()
        )
        | (hooks if uninstall else set())
    )


def references(found: Object) -> Iterator[tuple[str, str]]:
    """Objects that an object names in its pods, its role or its subjects."""
    spec = found.get("spec", {}).get("template", {}).get("spec", {})
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"]
    for volume in spec.get("volumes", []):
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for each in [found["roleRef"], *found["subjects"]] if "roleRef" in found else []:
        yield each["kind"], each["name"]


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda each: "-".join(map(str, each)))
def test_every_combination_renders(combination: tuple[Any, ...], render: Render) -> None:
    """It has exactly its objects, in the release's namespace, usually labelled, and names none that is not there."""
    *shape, kubernetes = combination
    objects = render(chosen(*shape), kubernetes=kubernetes)
    assert objects.keys() == expected(*shape, kubernetes)
    there = (
        objects.keys() | {("Secret", name) for name in OWN_SECRETS.values()} | {("PersistentVolumeClaim", "own-claim")}
    )
    for (kind, _), found in objects.items():
        metadata = found["metadata"]
        assert metadata.get("namespace") == (None if kind in CLUSTER_WIDE else NAMESPACE)
        assert (
            metadata["labels"].items()
            >= {
                "app.kubernetes.io/name": "bulkhead",
                "app.kubernetes.io/instance": "bulkhead",
                "app.kubernetes.io/managed-by": "Helm",
                "app.kubernetes.io/version": "0.1.0",
                "helm.sh/chart": "bulkhead-0.1.0",
            }.items()
        )
        assert set(references(found)) <= there


def test_tokens_add_what_is_for_them(render: Render) -> None:
    """And nothing dangles: the rights are the collector's, which is there."""
    objects = render({"collector": {"tokens": {"enabled": True}}})
    assert objects.keys() - render().keys() == TOKENS
    for name in TOKENS:
        assert set(references(objects[name])) <= objects.keys()
        assert objects[name]["metadata"].get("namespace") == (None if name[0] in CLUSTER_WIDE else NAMESPACE)
        assert objects[name]["metadata"]["labels"]["app.kubernetes.io/instance"] == "bulkhead"
    names = {name for _, name in render({"collector": {"tokens": {"enabled": True}}}, release="my")}
    assert {"my-bulkhead-violations-viewer", "my-bulkhead-collector"} <= names


def test_selectors_select_their_pods_only(render: Render) -> None:
    """Agents, collector and the hook's pod are told apart; the Service finds the collector."""
    objects = render()
    pods = {
        name: found["spec"]["template"]["metadata"]["labels"] for name, found in objects.items() if name[0] in WORKLOADS
    }
    selectors = {name: objects[name]["spec"]["selector"]["matchLabels"] for name in pods if name[0] != "Job"}
    selectors["Service", ""] = objects["Service", "bulkhead-collector"]["spec"]["selector"]
    selected = {
        name: {pod[1] for pod, labels in pods.items() if selector.items() <= labels.items()}
        for name, selector in selectors.items()
    }
    assert selected == {
        ("DaemonSet", "bulkhead-agent"): {"bulkhead-agent"},
        ("Deployment", "bulkhead-collector"): {"bulkhead-collector"},
        ("Deployment", "bulkhead-controller"): {"bulkhead-controller"},
        ("Service", ""): {"bulkhead-collector"},
    }


@pytest.mark.parametrize(
    ("release", "values", "prefix"),
    [
        ("bulkhead", {}, "bulkhead"),
        ("my-bulkhead", {}, "my-bulkhead"),
        ("my", {}, "my-bulkhead"),
        ("my", {"nameOverride": "other"}, "my-other"),
        ("my", {"fullnameOverride": "other"}, "other"),
        ("a" * 53, {}, "a" * 46),
    ],
)
def test_names_follow_the_release(release: str, values: dict[str, Any], prefix: str, render: Render) -> None:
    """All of them, and where agents look for the collector, too."""
    objects = render(values, release=release)
    assert {name for _, name in objects} == {
        f"{prefix}-{suffix}"
        for suffix in (
            "agent",
            "agent-requests",
            "collector",
            "controller",
            "uninstall",
            "authority",
            "collector-cert",
            "client-cert",
            "collector-ca",
        )
    }
    agent = objects["DaemonSet", f"{prefix}-agent"]["spec"]["template"]["spec"]["containers"][0]
    assert f"{prefix}-collector.{NAMESPACE}.svc:7443" in agent["args"]
    assert all(len(name) <= 63 for _, name in objects)


def test_rendering_is_deterministic(render: Render) -> None:
    """Twice the same, also for tools that render without the cluster: an upgrade without a change changes nothing."""
    assert render() == render()


def test_the_users_own_reach_the_objects(render: Render) -> None:
    """Labels, annotations and rules of placement are handed on as they are."""
    own = {
        "podLabels": {"team": "one"},
        "podAnnotations": {"note": "two"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "three", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "priorityClassName": "four",
    }
    objects = render(
        {
            "agent": own,
            "collector": own,
            "controller": own,
            "commonLabels": {"five": "5"},
            "imagePullSecrets": [{"name": "six"}],
        }
    )
    deployments = [("Deployment", f"bulkhead-{who}") for who in ("collector", "controller")]
    for name in (("DaemonSet", "bulkhead-agent"), *deployments):
        template = objects[name]["spec"]["template"]
        assert template["metadata"]["labels"]["team"] == "one"
        assert template["metadata"]["annotations"]["note"] == "two"
        assert template["spec"]["nodeSelector"] == {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
        assert (
            template["spec"].items()
            >= {key: own[key] for key in ("tolerations", "affinity", "priorityClassName")}.items()
        )
        assert template["spec"]["imagePullSecrets"] == [{"name": "six"}]
    assert all(found["metadata"]["labels"]["five"] == "5" for found in objects.values())


def test_lint_has_nothing_to_say(helm: Any) -> None:
    """`helm lint --strict` is clean."""
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stdout
    assert "0 chart(s) failed" in done.stdout
