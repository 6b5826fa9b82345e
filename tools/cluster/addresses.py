"""Where everything is: addresses and ports of a cluster, and what is in the way of one.

Why here: the control plane is on this machine and the node behind QEMU's user network, in which 10.0.2.2 is this
machine's loopback. The API server, told the node's own address, must reach the kubelet under it too: a route makes
the address one of this machine's loopback, where QEMU listens and forwards. All ports are on loopback. A run that is
killed leaves its route, and the next one, of this checkout or another, takes it over. Next step: `supervisor` takes
and gives back the address.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tools.cluster import BenchError

LOOPBACK = "127.0.0.1"
API_SERVER_PORT = 6443
ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
DNS_PORT = 10053
KUBELET_PORT = 10250

NODE_NAME = "bench-node"
NODE_IP = "10.0.2.15"
API_SERVER_FROM_NODE = "10.0.2.2"  # what QEMU's user network calls this machine's loopback
POD_NETWORK = "10.244.0.0/24"
SERVICE_NETWORK = "10.96.0.0/16"
API_SERVER_IP = "10.96.0.1"
DNS_IP = "10.96.0.10"

PORTS = {
    ETCD_PORT: "etcd",
    ETCD_PEER_PORT: "etcd's peers",
    API_SERVER_PORT: "the API server",
    CONTROLLER_MANAGER_PORT: "the controller manager",
    SCHEDULER_PORT: "the scheduler",
    DNS_PORT: "DNS",
    KUBELET_PORT: "the kubelet",
}
# the source must be 127.0.0.1, or the guest sees packets that come from its own address; nobody else routes so
ROUTE = ("local", NODE_IP, "dev", "lo", "src", LOOPBACK, "table", "local")
ONE_ONLY = "\0bulkhead-cluster"  # a socket's name, which the kernel forgets with whoever had it


def obstacles() -> list[str]:
    """What is in the way of a cluster on this machine, each a clause; nothing is changed."""
    found = [f"port {port}, for {user}, is taken{_owner(port)}" for port, user in PORTS.items() if _is_taken(port)]
    if (route := _route()) and not _is_ours(route):
        found.append(f"the node's address {NODE_IP} is already on the interface {route['dev']}")
    return found


@contextmanager
def node_address() -> Iterator[None]:
    """The node's address on this machine's loopback, for as long as the context lasts. Raises `BenchError`."""
    with _only_one():
        try:
            _ip("route", "replace", *ROUTE)
            yield
        finally:
            _take_away()


def take_away_what_was_left() -> None:
    """Remove the route that a killed run left; nothing where none did, or where a cluster has it."""
    with suppress(BenchError), _only_one():
        _take_away()


@contextmanager
def _only_one() -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as holder:
        try:
            holder.bind(ONE_ONLY)
        except OSError as error:
            raise BenchError(f"another cluster has the node's address {NODE_IP}, and none is started") from error
        yield


def _take_away() -> None:
    if _is_ours(_route()):
        _ip("route", "del", *ROUTE, check=False)


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that lingers is not in the way
        try:
            probe.bind(("", port))
        except OSError:
            return True
    return False


def _owner(port: int) -> str:
    command = ["ss", "-Hltnp", f"sport = :{port}"]
    line = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    _, _, users = line.partition("users:")
    return f" by {users.strip().splitlines()[0].strip('()')}" if users.strip() else ""


def _route() -> dict[str, object]:
    """How this machine reaches the node's address as its own; empty where it is not its own."""
    return next(iter(json.loads(_ip("-json", "-4", "route", "show", NODE_IP, "table", "local") or "[]")), {})


def _is_ours(route: dict[str, object]) -> bool:
    return (route.get("dev"), route.get("prefsrc")) == ("lo", LOOPBACK)


def _ip(*words: str, check: bool = True) -> str:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise BenchError(f"`ip {' '.join(words)}` failed, and no cluster is started: {result.stderr.strip()}")
    return result.stdout
