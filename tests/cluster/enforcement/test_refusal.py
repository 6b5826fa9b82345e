"""What is wrong with a policy is told where people look for it, and what was enforced before stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkhead.kube.conditions import find
from bulkhead.policy.locate import documents
from tests.cluster.enforcement.shop import Shop
from tests.cluster.waiting import await_true
from tools.cluster.cluster import Cluster
from tools.vm import CHECKOUT

# The schema of the CRD cannot say that a name of a file has 255 bytes at most.
NOT_PLAIN = {"name": "no-id", "action": "Deny", "paths": [f"/usr/bin/{'i' * 256}"]}
EXAMPLES = sorted((CHECKOUT / "examples").glob("*.yaml"))
VALID = sorted((CHECKOUT / "tests/corpus/valid").glob("*.yaml"))


def complained_of(shop: Shop) -> list[str]:
    """The objects of which the node complains."""
    state = json.loads(shop.cluster.kubectl("get", "nodestate", shop.cluster.node, "-o", "json"))
    return [failure["object"] for failure in state["status"].get("failures", [])]


def await_complaints(shop: Shop, *expected: str) -> None:
    """Until the node complains of exactly these objects: the agent may be later than the controller."""
    await_true(lambda: complained_of(shop) == list(expected), lambda: complained_of(shop))


def test_a_refused_version_is_told_and_the_good_one_stays(shop: Shop) -> None:
    """On the object, as an event on it, and on the node; the generation before is still in force."""
    good = shop.policy()
    bad = shop.policy()
    bad["spec"]["exec"]["rules"][0] = NOT_PLAIN
    shop.apply(bad)
    shop.kubectl("wait", "secpol/web", "--for=condition=Accepted=false", "--timeout=60s")
    condition = find(shop.policy()["status"]["conditions"], "Accepted")
    assert condition["reason"] == "Refused"
    assert "spec.exec.rules[0].paths[0]" in condition["message"]
    assert f"Generation {good['metadata']['generation']} stays enforced" in condition["message"]
    shop.kubectl("wait", "--for=create", "event", "--all", "--timeout=60s")
    assert "spec.exec.rules[0].paths[0]" in shop.kubectl("describe", "secpol", "web")
    await_complaints(shop, "SecurityPolicy shop/web")
    assert shop.act("web", "/usr/bin/dpkg", "--version").denied
    assert shop.act("web", "/usr/bin/id").status == 0


def test_a_mended_policy_is_accepted_again(shop: Shop) -> None:
    """The condition turns, and the node has nothing to complain of."""
    shop.kubectl("wait", "secpol/web", "--for=condition=Accepted", "--timeout=60s")
    await_complaints(shop)


@pytest.mark.parametrize("path", [*EXAMPLES, *VALID], ids=lambda path: path.stem)
def test_what_we_accept_the_api_server_accepts(shop: Shop, path: Path) -> None:
    """`bulkhead policy validate` has nothing against these, as its own tests say; neither has the CRD's schema."""
    found = [located.value for located in documents(path.read_text()) if located.value]
    for document in found:
        for policy in document.get("items", [document]):
            new = {**policy, "metadata": {"name": "tried"}, "status": {}}  # but for what the server itself fills in
            told = shop.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(new))
            assert "(server dry run)" in told
    assert found


def test_the_api_server_refuses_what_its_schema_can_say(installed: Cluster) -> None:
    """Unknown fields, wrong words and wrong types do not even become objects."""
    head = "apiVersion: bulkhead.dev/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: x}\n"
    for spec, field in (
        ("{exec: {rules: [{acton: Deny, paths: [/bin/x]}]}}", "acton"),
        ("{exec: {rules: [{action: Forbid, paths: [/bin/x]}]}}", "action"),
        ("{capabilities: {rules: [{action: Deny, names: NET_RAW}]}}", "names"),
    ):
        text = f"{head}spec: {spec}\n"
        result = installed.tried("kubectl", "apply", "--dry-run=server", "-f", "-", stdin=text)
        assert result.returncode != 0
        assert field in result.stderr
