"""Every template of the chart, with everything switched on, is an object that the API server takes."""

from __future__ import annotations

import yaml

from tools.cluster.cluster import Cluster
from tools.vm import CHECKOUT

EVERYTHING = (
    "--set", "networkPolicy.enabled=true", "--set", "collector.persistence.storageClassName=fast",
    "--set", "collector.tokens.enabled=true",
)  # fmt: skip


def test_the_api_server_takes_every_object(cluster: Cluster, namespace: str) -> None:
    """By a dry run on the server, so that its schemas and its admission have their say."""
    chart = str(CHECKOUT / "deploy/helm/bulkhead")
    rendered = cluster.helm("template", "other", chart, "--namespace", namespace, "--include-crds", *EVERYTHING)
    objects = [each for each in yaml.safe_load_all(rendered) if each]
    told = cluster.kubectl("apply", "--dry-run=server", "--namespace", namespace, "-f", "-", stdin=rendered)
    assert told.count("(server dry run)") == len(objects)
    kinds = {each["kind"] for each in objects}
    assert {"DaemonSet", "Deployment", "Service", "PersistentVolumeClaim", "NetworkPolicy", "Job", "Secret"} <= kinds
