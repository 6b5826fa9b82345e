"""What Helm says after an install: commands that work for this release. Next step: `templates/NOTES.txt`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.chart.objects import CHART

OWN = {"tls": {"existingSecrets": {"collector": "own-collector", "agent": "own-agent"}}}


def notes(helm: Any, release: str, namespace: str, values: dict[str, Any]) -> str:
    """The last part of what an install without a cluster prints."""
    done = helm("install", release, str(CHART), "--namespace", namespace, "--dry-run=client", values=values)
    assert done.returncode == 0, done.stderr
    return str(done.stdout.partition("\nNOTES:\n")[2])


@pytest.mark.parametrize(
    ("release", "namespace", "values", "command"),
    [
        ("bulkhead", "bulkhead-system", {}, "bulkhead events --follow\n"),
        ("bulkhead", "other", {}, "bulkhead events --follow --collector-namespace other\n"),
        ("my", "other", {}, "kubectl -n other get secret my-bulkhead-client-cert -o"),
        ("my", "other", {}, "kubectl -n other port-forward service/my-bulkhead-collector 7443 &"),
        ("bulkhead", "other", OWN, "bulkhead events --follow --collector localhost:7443 --tls-ca ca.crt"),
    ],
)
def test_the_way_to_the_events_fits_the_release(
    release: str, namespace: str, values: dict[str, Any], command: str, helm: Any
) -> None:
    """By itself where `bulkhead events` finds the collector, else with what it has to be given."""
    assert command in notes(helm, release, namespace, values)


@pytest.mark.parametrize(
    ("values", "said", "unsaid"),
    [
        ({}, "takes all policies out of the kernels", "emptyDir"),
        ({"uninstall": {"enabled": False}}, "leaves policies in force on all nodes", "takes all policies out"),
        ({"collector": {"persistence": {"enabled": False}}}, "keeps violations in an emptyDir", "so does Persistent"),
        ({}, "so does PersistentVolumeClaim bulkhead-collector", "in an emptyDir"),
        ({}, "Whoever may read Secret bulkhead-client-cert can do so", "token of the cluster"),
        ({"collector": {"tokens": {"enabled": True}}}, "ClusterRole bulkhead-violations-viewer", "in an emptyDir"),
        ({"collector": {"persistence": {"keep": False}}}, "The CRDs and your policies stay.", "so does Persistent"),
    ],
)
def test_what_is_lost_and_what_stays_is_said(values: dict[str, Any], said: str, unsaid: str, helm: Any) -> None:
    """At the end of a release, and with the collector's pod."""
    text = notes(helm, "bulkhead", "bulkhead-system", values)
    assert said in text
    assert unsaid not in text
