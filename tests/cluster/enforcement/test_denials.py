"""What the policy of examples/web.yaml denies in the pod that it selects, beside what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.cluster.enforcement.shop import IMAGE, Shop, pod
from tests.cluster.enforcement.subscriber import Subscriber
from tools.cluster.addresses import API_SERVER_IP
from tools.cluster.cluster import Cluster

METADATA = "169.254.169.254"


@dataclass(frozen=True)
class Case:
    """An act that a rule denies, its neighbour that no rule denies, and what the violation says."""

    rule: str
    operation: str
    forbidden: tuple[str, ...]
    neighbour: tuple[str, ...]
    object: str


def connect(host: str, port: int) -> tuple[str, ...]:
    """A TCP connection."""
    return ("bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")


TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
CASES = (
    Case("no-package-managers", "Exec", ("/usr/bin/dpkg", "--version"), ("/usr/bin/id",), "/usr/bin/dpkg"),
    Case("no-token", "Read", ("cat", TOKEN), ("cat", "/etc/passwd"), "/run/secrets/kubernetes.io/serviceaccount/"),
    Case("no-cloud-metadata", "Egress", connect(METADATA, 80), connect(API_SERVER_IP, 443), METADATA),
    Case("no-devices", "Capability", ("mknod", "/tmp/d", "c", "1", "3"), ("mkfifo", "/tmp/f"), "MKNOD"),
)


@pytest.fixture(scope="module", autouse=True)
def metadata_service(cluster: Cluster) -> Iterator[None]:
    """The node stands for a cloud: somebody listens at the address of its metadata."""
    serve = f"import http.server as h; h.HTTPServer(('{METADATA}', 80), h.SimpleHTTPRequestHandler).serve_forever()"
    cluster.on_node(
        f"ip address add {METADATA}/32 dev lo; cd /tmp; "
        f'setsid python3 -c "{serve}" >/dev/null 2>&1 </dev/null & echo $! > /run/metadata.pid; '
        f"for _ in $(seq 60); do (exec 3<>/dev/tcp/{METADATA}/80) 2>/dev/null && exit; sleep 1; done; exit 1"
    )
    yield
    cluster.on_node(f"kill $(cat /run/metadata.pid); ip address del {METADATA}/32 dev lo")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_what_is_forbidden_fails_and_is_told(shop: Shop, subscriber: Subscriber, case: Case) -> None:
    """EPERM in the selected pod, success in the other; the neighbour works; the violation names everything."""
    denied = shop.act("web", *case.forbidden)
    assert denied.denied, denied
    allowed = shop.act("free", *case.forbidden)
    assert allowed.status == 0, allowed
    neighbour = shop.act("web", *case.neighbour)
    assert neighbour.status == 0, neighbour
    event = subscriber.await_event(rule=case.rule, verdict="DENIED", pod="web")
    expected = {
        "operation": case.operation, "policy": "web", "policy_namespace": "shop", "namespace": "shop",
        "container": "main", "image": IMAGE, "node": shop.cluster.node, "severity": "High",
    }  # fmt: skip
    assert expected.items() <= event.items(), event
    assert case.object in event["object"]


def test_init_and_ephemeral_containers_count_like_any_other(shop: Shop, subscriber: Subscriber) -> None:
    """A sidecar that is an init container, and one that was put into the running pod."""
    sidecar = {"name": "sidecar", "image": IMAGE, "command": ["sleep", "infinity"], "restartPolicy": "Always"}
    shop.create(pod("many", "web", initContainers=[sidecar]))
    shop.kubectl(
        "debug", "many", f"--image={IMAGE}", "--container=debug", "--profile=general", "--", "sleep", "infinity"
    )
    shop.kubectl(
        "wait", "pod/many", "--for=jsonpath={.status.ephemeralContainerStatuses[0].state.running}", "--timeout=60s"
    )
    policy = shop.policy()
    shop.await_enforced(policy, selected=4)
    for container in ("main", "sidecar", "debug"):
        assert shop.act("many", "/usr/bin/dpkg", "--version", container=container).denied
        assert shop.act("many", "/usr/bin/id", container=container).status == 0
        subscriber.await_event(rule="no-package-managers", pod="many", container=container)
    shop.kubectl("delete", "pod", "many")
    shop.await_enforced(policy, selected=1)
