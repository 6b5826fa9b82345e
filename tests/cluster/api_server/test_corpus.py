"""One corpus, judged alike by `bulkhead policy validate` and by a real API server with our CRDs in it.

What the API server cannot judge is named here, each with its reason, and is let through: the agent says it in the
policy's status.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkhead.kube.client import Api
from bulkhead.kube.errors import ApiRefused, Invalid
from bulkhead.kube.objects import collection_path
from bulkhead.policy.locate import documents
from bulkhead.policy.model import KINDS
from tests.cluster.chart.objects import ROOT

CORPUS = ROOT / "tests/corpus"
VALID = sorted([*CORPUS.glob("valid/*.yaml"), *CORPUS.glob("not_enforced/*.yaml"), *ROOT.glob("examples/*.yaml")])
INVALID = sorted(CORPUS.glob("invalid/*.yaml"))
YAML = "is lost when YAML becomes JSON, which the client does"
PATH = "is in the path that is asked, which the client makes"
MANY = "rules are too many for CEL to compare"
ADDRESS = "needs arithmetic on addresses, which CEL has from Kubernetes 1.31 on"
LEFT = {
    "cluster-policy-with-namespace": PATH,
    "duplicate-keys": YAML,
    "duplicate-rule-names": MANY,
    "element-too-long": "bytes are not characters",
    "except-all-in-halves": ADDRESS,
    "except-equal": ADDRESS,
    "except-outside": ADDRESS,
    "merge-key": YAML,
    "not-enforced-yet": "is valid",
    "port-with-point": "80.0 is 80 in JSON",
    "same-policy-twice": "is a matter of the file",
    "syntax": YAML,
}
REMEDIES = {
    "end-port-before-port": "endPort is less than port: exchange them",
    "says-nothing": "write one of exec, files, network, capabilities, operations",
    "rule-matches-nothing": "write paths, notInImage: true or fileless: true",
    "rule-called-default": "choose another name",
    "selector-values": "podSelector: In and NotIn need values; Exists and DoesNotExist take none",
    "cluster-selector-values": "namespaceSelector: In and NotIn need values; Exists and DoesNotExist take none",
    "host-processes-and-pods": "select pods, and hostProcesses none: leave them out, or make two policies of it",
    "host-processes-have-no-image": "name paths instead of notInImage",
    "host-processes-packets": "name the cgroups in hostProcesses.cgroups",
    "node-selector-values": "nodeSelector: In and NotIn need values; Exists and DoesNotExist take none",
}


def policies(path: Path) -> Iterator[dict[str, Any]]:
    """What a file has of our kinds, but for what is good in a file of what is not."""
    found = (located.value for located in documents(path.read_text(encoding="utf-8")))
    for document in found:
        items = document.get("items", [document]) if isinstance(document, dict) else []
        for each in items:
            if isinstance(each, dict) and each.get("kind") in KINDS and "good" not in str(each.get("metadata")):
                yield each


def create(api: Api, policy: dict[str, Any]) -> None:
    """Try it: under another name, because the API server sees to names itself, and nothing is stored."""
    tried = {**policy, "metadata": {"name": "tried"}}
    tried.pop("status", None)
    namespace = "default" if policy["kind"] == "SecurityPolicy" else ""
    api.post(collection_path(policy["kind"], namespace), tried, {"dryRun": "All", "fieldValidation": "Strict"})


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_what_we_accept_the_api_server_accepts(api: Api, path: Path) -> None:
    """Also what is valid and not enforced yet: which agent enforces what is not the API server's to know."""
    found = list(policies(path))
    assert found
    for policy in found:
        create(api, policy)


@pytest.mark.parametrize("path", [path for path in INVALID if path.stem not in LEFT], ids=lambda path: path.stem)
def test_what_we_refuse_the_api_server_refuses(api: Api, path: Path) -> None:
    """By types, forms and rules; where there are rules, with what to write instead."""
    for policy in policies(path):
        with pytest.raises(ApiRefused) as refusal:
            create(api, policy)
        assert isinstance(refusal.value, Invalid)
        assert REMEDIES.get(path.stem, "") in str(refusal.value)


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_to_the_agent_is_no_more_than_that(api: Api, name: str) -> None:
    """What the API server refuses by now does not belong on the list. A file that is no YAML has nothing to try."""
    for policy in policies(CORPUS / f"invalid/{name}.yaml"):
        create(api, policy)
