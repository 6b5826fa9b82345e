"""Values that are wrong: Helm refuses them by the schema, names the value, and renders nothing.

Next step: `values.schema.json`; what a schema cannot say is refused in the templates, see `_helpers.tpl`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.chart.objects import CHART

UNKNOWN: list[dict[str, Any]] = [
    {"agnet": {}},
    {"agent": {"imge": {}}},
    {"agent": {"image": {"tagg": "1"}}},
    {"agent": {"resources": {"limit": {}}}},
    {"collector": {"persistence": {"sise": "1Gi"}}},
    {"collector": {"replicas": 2}},
    {"collector": {"tokens": {"enable": True}}},
    {"tls": {"existingSecrets": {"agents": "x"}}},
    {"networkPolicy": {"enable": True}},
    {"monitoring": {"monitor": {}}},
    {"uninstall": {"timeout": 1}},
]
WRONG: list[dict[str, Any]] = [
    {"nameOverride": 1},
    {"fullnameOverride": "Not-a-label"},
    {"imagePullSecrets": "name"},
    {"commonLabels": {"number": 1}},
    {"agent": {"image": {"pullPolicy": "Sometimes"}}},
    {"agent": {"image": {"digest": "sha256:short"}}},
    {"agent": {"state": "relative/path"}},
    {"agent": {"state": "/var/../etc"}},
    {"agent": {"pins": "/sys/fs/cgroup/bulkhead"}},
    {"agent": {"pins": "/sys/fs/bpf"}},
    {"agent": {"maxUnavailable": 0}},
    {"agent": {"maxUnavailable": "101%"}},
    {"agent": {"readinessPeriodSeconds": "10"}},
    {"agent": {"tolerations": "Exists"}},
    {"agent": {"nodeSelector": ["linux"]}},
    {"collector": {"retain": "7"}},
    {"collector": {"retainBytes": 8000000000}},
    {"collector": {"persistence": {"enabled": "yes"}}},
    {"collector": {"persistence": {"size": "10GB"}}},
    {"collector": {"tokens": {"enabled": "yes"}}},
    {"collector": {"tokens": {"audience": ""}}},
    {"collector": {"tokens": {"apiServerTokens": 1}}},
    {"tls": {"agentCertificateHours": 0}},
    {"tls": {"agentCertificateHours": 1.5}},
    {"networkPolicy": {"from": {}}},
    {"networkPolicy": {"monitoringFrom": {}}},
    {"monitoring": {"monitors": {"interval": "often"}}},
    {"uninstall": {"timeoutSeconds": 5}},
]


def path_of(values: dict[str, Any]) -> list[str]:
    """Names from the top to the value that is wrong."""
    path: list[str] = []
    inner: Any = values
    while isinstance(inner, dict) and inner:
        ((name, inner),) = inner.items()
        path.append(name)
    return path


@pytest.mark.parametrize("values", UNKNOWN, ids=lambda values: ".".join(path_of(values)))
def test_an_unknown_value_is_refused(values: dict[str, Any], helm: Any) -> None:
    """By Helm itself, with its name."""
    done = helm("template", "bulkhead", str(CHART), values=values)
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr
    *above, name = path_of(values)
    assert f"at '{'/'.join(['', *above])}': additional properties '{name}' not allowed" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("values", WRONG, ids=lambda values: ".".join(path_of(values)))
def test_a_value_of_another_kind_is_refused(values: dict[str, Any], helm: Any) -> None:
    """By Helm itself, with the way to it."""
    done = helm("template", "bulkhead", str(CHART), values=values)
    assert done.returncode != 0
    assert f"at '{'/'.join(['', *path_of(values)])}': " in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"agent": {"seccompProfile": {"type": "Localhost"}}}, "at '/agent/seccompProfile': missing property"),
        ({"collector": {"retainBytes": "9G"}}, "collector.retainBytes: 9G is more than four fifths of"),
        ({"collector": {"persistence": {"size": "9Gi"}}}, "collector.persistence.size, 9Gi"),
        ({"tls": {"existingSecrets": {"agent": "own"}}}, "tls.existingSecrets: collector and agent go together"),
        ({"tls": {"existingSecrets": {"client": "own"}}}, "tls.existingSecrets.client: "),
    ],
)
def test_values_that_contradict_one_another_are_refused(values: dict[str, Any], message: str, helm: Any) -> None:
    """What a schema cannot say is said by the templates, with the values' names."""
    done = helm("template", "bulkhead", str(CHART), values=values)
    assert done.returncode != 0
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("size", ["10Gi", "10240Mi", "1Ti"])
def test_a_store_that_fits_is_taken(size: str, helm: Any) -> None:
    """Four fifths are enough, whatever the unit."""
    values = {"collector": {"retainBytes": "8192M", "persistence": {"size": size}}}
    assert helm("template", "bulkhead", str(CHART), values=values).returncode == 0
