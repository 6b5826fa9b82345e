"""DNS for pods: CoreDNS, natively on this machine, behind the service address that the kubelet tells pods.

Why here: a server that runs in the node would be an image to make and a pod to wait for. The service has no
selector; its one endpoint is this machine, as the node sees it. Next step: `supervisor` starts it once the API
server answers.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tools.cluster import BIN, BenchError, programs
from tools.cluster.addresses import API_SERVER_FROM_NODE, DNS_IP, DNS_PORT, LOOPBACK
from tools.cluster.credentials import IDENTITIES, Credentials
from tools.cluster.programs import Program

NAME = "kube-dns"
PROTOCOLS = ("UDP", "TCP")


def start(credentials: Credentials, folder: Path, ends: ExitStack) -> list[Program]:
    """A DNS server and its service; it ends when `ends` is closed. Raises `BenchError`."""
    _apply(credentials, objects())
    settings = folder / "Corefile"
    settings.write_text(corefile(credentials))
    program = programs.start("coredns", ["-conf", str(settings)], folder)
    ends.callback(program.end)
    return [program]


def corefile(credentials: Credentials) -> str:
    """Names of the cluster and no others: there is nobody to ask for those."""
    return f"""\
.:{DNS_PORT} {{
	bind {LOOPBACK}
	errors
	cache 5
	kubernetes cluster.local in-addr.arpa {{
		kubeconfig {credentials.kubeconfig("dns")}
	}}
}}
"""


def objects() -> list[dict[str, Any]]:
    """The service, where it leads, and what the server may read."""
    place = {"namespace": "kube-system", "name": NAME}
    ports = [{"name": one.lower(), "port": 53, "protocol": one} for one in PROTOCOLS]
    behind = [{"name": one.lower(), "port": DNS_PORT, "protocol": one} for one in PROTOCOLS]
    user = next(identity.user for identity in IDENTITIES if identity.name == "dns")
    core = {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}
    rbac = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": {"clusterIP": DNS_IP, "ports": ports}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**place, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [API_SERVER_FROM_NODE], "conditions": {"ready": True}}],
            "ports": behind,
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "bench:dns"},
            "rules": [core, slices],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "bench:dns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "bench:dns"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": user}],
        },
    ]


def _apply(credentials: Credentials, wanted: list[dict[str, Any]]) -> None:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": wanted})
    command = [str(BIN / "kubectl"), "--kubeconfig", str(credentials.kubeconfig("admin")), "create", "-f", "-"]
    result = subprocess.run(command, input=listed, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BenchError(f"the service of DNS could not be made, and no cluster is up: {result.stderr.strip()}")
