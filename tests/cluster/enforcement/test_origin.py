"""A container executes what is of its image, whoever starts it: `notInImage` and `fileless` on a real node."""

from __future__ import annotations

from tests.cluster.enforcement.shop import Shop, pod

COPY = ("sh", "-c", "cp /usr/bin/id /usr/local/bin/new && exec /usr/local/bin/new")


def drift_policy(shop: Shop) -> dict[str, object]:
    """Nothing may be executed that was written since, or is in memory only."""
    rules = [
        {"name": "no-drift", "action": "Deny", "notInImage": True},
        {"name": "no-memfd", "action": "Deny", "fileless": True},
    ]
    return {
        "apiVersion": "bulkhead.dev/v1alpha1",
        "kind": "SecurityPolicy",
        "metadata": {"name": "no-drift", "namespace": shop.namespace},
        "spec": {"podSelector": {"matchLabels": {"app": "still"}}, "exec": {"rules": rules}},
    }


def test_only_the_image_is_executed(shop: Shop) -> None:
    """Also what `kubectl exec` starts, which the runtime does from memory; the same copy runs in the pod beside it."""
    applied = shop.apply(drift_policy(shop))
    try:
        shop.create(pod("still", "still"))
        shop.await_enforced(applied)
        assert shop.act("still", "/usr/bin/id").status == 0
        assert shop.act("still", "sh", "-c", "ls / | wc -l").status == 0
        assert shop.act("still", *COPY).denied
        assert shop.act("free", *COPY).status == 0
    finally:
        shop.kubectl("delete", "secpol", "no-drift")
        shop.kubectl("delete", "pod", "still", "--now", "--wait=false")
