"""Where everything is: addresses and ports of a cluster, and what is in the way of one.

Why here: the control plane is on this machine and the node behind QEMU's user network, in which 10.0.2.2 is this
machine's loopback. The API server, told the node's own address, must reach the kubelet under it too: the address is
put on this machine's loopback, where QEMU listens and forwards. All ports are on loopback. Next step: `supervisor`
takes and gives back the address.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

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
# the source must be 127.0.0.1, or the guest sees packets that come from its own address
ROUTE = ("local", NODE_IP, "dev", "lo", "src", LOOPBACK, "table", "local")


def obstacles(*, is_address_ours: bool) -> list[str]:
    """What is in the way of a cluster on this machine, each a clause; nothing is changed.

    `is_address_ours` where a run of ours was killed, and what it left on the loopback interface is in nobody's way.
    """
    found = [f"port {port}, for {user}, is taken{_owner(port)}" for port, user in PORTS.items() if _is_taken(port)]
    holder = _holder()
    if holder and not (is_address_ours and holder == "lo"):
        found.append(f"the node's address {NODE_IP} is already on the interface {holder}")
    return found


@contextmanager
def node_address() -> Iterator[None]:
    """The node's address on this machine's loopback, for as long as the context lasts. Raises `BenchError`."""
    try:
        _ip("addr", "add", f"{NODE_IP}/32", "dev", "lo")
        _ip("route", "replace", *ROUTE)
        yield
    finally:
        give_back()


def give_back() -> None:
    """Take address and route away, also those that a run left that was killed; nothing where there are none."""
    if _holder() == "lo":
        _ip("route", "del", *ROUTE, check=False)  # goes with its address where the kernel made it
        _ip("addr", "del", f"{NODE_IP}/32", "dev", "lo", check=False)


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


def _holder() -> str:
    """The interface that has the node's address; empty where none has."""
    for interface in json.loads(_ip("-json", "-4", "addr", "show")):
        if any(one.get("local") == NODE_IP for one in interface.get("addr_info", [])):
            return str(interface["ifname"])
    return ""


def _ip(*words: str, check: bool = True) -> str:
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise BenchError(f"`ip {' '.join(words)}` failed, and no cluster is started: {result.stderr.strip()}")
    return result.stdout
