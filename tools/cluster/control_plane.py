"""etcd, API server, controller manager and scheduler, natively on this machine.

Why here: natively the API server answers two seconds after its start. It has what a real cluster has: RBAC and node
authorization, NodeRestriction, service account tokens whose certificate authority pods are given. Its arguments are
pure functions of the credentials. Next step: `node` joins.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

from tools.cluster import BenchError, addresses, programs
from tools.cluster.addresses import API_SERVER_PORT, ETCD_PEER_PORT, ETCD_PORT, LOOPBACK
from tools.cluster.api import Api
from tools.cluster.credentials import Credentials
from tools.cluster.programs import Program

READY_S = 90.0
ETCD = f"http://{LOOPBACK}:{ETCD_PORT}"
ETCD_PEER = f"http://{LOOPBACK}:{ETCD_PEER_PORT}"


def start(credentials: Credentials, folder: Path, ends: ExitStack) -> list[Program]:
    """A control plane that is ready, with its logs in `folder`; it ends when `ends` is closed. Raises `BenchError`."""

    def begin(name: str, arguments: list[str]) -> None:
        program = programs.start(name, arguments, folder)
        ends.callback(program.end)
        running.append(program)

    running = start_api_server(credentials, folder, ends)
    begin("kube-controller-manager", controller_manager_arguments(credentials))
    begin("kube-scheduler", scheduler_arguments(credentials))
    return running


def start_api_server(credentials: Credentials, folder: Path, ends: ExitStack) -> list[Program]:
    """An API server that is ready and its store, alone: what tests need that have no node. As `start` otherwise."""
    running = []
    for name, arguments in (
        ("etcd", etcd_arguments(folder / "etcd")),
        ("kube-apiserver", api_server_arguments(credentials)),
    ):
        running.append(programs.start(name, arguments, folder))
        ends.callback(running[-1].end)
    wait_until_ready(credentials, running)
    return running


def etcd_arguments(data: Path) -> list[str]:
    """What is stored lives as long as the run: waiting for the disk would buy nothing."""
    client = [f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"]
    peers = [f"--listen-peer-urls={ETCD_PEER}", f"--initial-advertise-peer-urls={ETCD_PEER}"]
    return [f"--data-dir={data}", "--unsafe-no-fsync", *client, *peers, f"--initial-cluster=default={ETCD_PEER}"]


def api_server_arguments(credentials: Credentials) -> list[str]:
    """The API server of a cluster whose node sees it at another address than this machine does."""
    key = credentials.service_account_key
    return [
        f"--etcd-servers={ETCD}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={API_SERVER_PORT}",
        f"--advertise-address={addresses.API_SERVER_FROM_NODE}",
        f"--service-cluster-ip-range={addresses.SERVICE_NETWORK}",
        f"--tls-cert-file={credentials.certificate('api-server')}",
        f"--tls-private-key-file={credentials.key('api-server')}",
        f"--token-auth-file={credentials.tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--kubelet-certificate-authority={credentials.authority}",
        f"--kubelet-client-certificate={credentials.certificate('kubelet-client')}",
        f"--kubelet-client-key={credentials.key('kubelet-client')}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager_arguments(credentials: Credentials) -> list[str]:
    """Controllers with the rights of their own service accounts; `root-ca-file` is what pods get as ca.crt."""
    config = credentials.kubeconfig("controller-manager")
    return [
        *_component(config, addresses.CONTROLLER_MANAGER_PORT),
        f"--service-account-private-key-file={credentials.service_account_key}",
        f"--root-ca-file={credentials.authority}",
        "--use-service-account-credentials=true",
    ]


def scheduler_arguments(credentials: Credentials) -> list[str]:
    """The scheduler, alone."""
    return _component(credentials.kubeconfig("scheduler"), addresses.SCHEDULER_PORT)


def _component(config: Path, port: int) -> list[str]:
    files = [f"--{use}kubeconfig={config}" for use in ("", "authentication-", "authorization-")]
    return [*files, f"--bind-address={LOOPBACK}", f"--secure-port={port}", "--leader-elect=false"]


def wait_until_ready(credentials: Credentials, running: list[Program]) -> None:
    """Until the API server calls itself ready."""
    api = Api(credentials)
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if api.is_ready():
            return
        for program in running:
            if program.has_ended():
                raise BenchError(f"{program.name} ended while the control plane was starting; no cluster is up")
        time.sleep(0.1)
    raise BenchError(f"the API server was not ready after {READY_S:g} s; no cluster is up")
