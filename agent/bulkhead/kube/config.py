"""Where the API server is and who we are there: a kubeconfig, or the service account of the pod that this runs in.

Next step: `kube.client` uses what is loaded; `kube.kubeconfig` reads files.
"""

from __future__ import annotations

import os
import socket
from functools import partial
from pathlib import Path
from typing import Any, cast

import urllib3
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME, InClusterConfigLoader
from urllib3.connection import HTTPConnection
from urllib3.exceptions import InsecureRequestWarning

from bulkhead.errors import UsageError
from bulkhead.kube.kubeconfig import DEFAULT_NAMESPACE, Choice, KubeConfig

SERVICE_NAMESPACE = Path(SERVICE_TOKEN_FILENAME).with_name("namespace")
HINT = "name a kubeconfig, set KUBECONFIG, or run in a pod with a service account; nothing was changed"
READING = (ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError)
# A watch has no ping of its own: the kernel finds out within a minute that the other side has vanished.
KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
]


def is_configured(kubeconfig: Path | None = None) -> bool:
    """Whether there is anything that says where an API server is."""
    return bool(_kubeconfig_files(kubeconfig)) or _in_pod()


def load_configuration(choice: Choice) -> Configuration:
    """What `kube.client.connect` describes. Raises `UsageError`."""
    files = _kubeconfig_files(choice.kubeconfig)
    configuration = Configuration()
    try:
        if files:
            KubeConfig(files, choice).load_into(configuration)
        elif _in_pod() and choice == Choice():
            loader = partial(cast, Any)(InClusterConfigLoader)  # has no types
            loader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME).load_and_set(configuration)
        else:
            raise UsageError(f"no API server is known: {HINT}")
    except READING as error:
        raise UsageError(f"{files or 'service account'}: {error}; nothing was changed") from error
    if not configuration.verify_ssl:
        urllib3.disable_warnings(InsecureRequestWarning)  # the kubeconfig says so: no need to say it at each request
    configuration.socket_options = [*HTTPConnection.default_socket_options, *KEEPALIVE]
    configuration.retries = False  # who asks knows better when to ask again
    return configuration


def current_namespace(choice: Choice) -> str:
    """The namespace of the context, or of the pod that this runs in; `default` where neither says one.

    Raises `UsageError`.
    """
    files = _kubeconfig_files(choice.kubeconfig)
    try:
        if files:
            return KubeConfig(files, choice).namespace
        return SERVICE_NAMESPACE.read_text().strip() if SERVICE_NAMESPACE.is_file() else DEFAULT_NAMESPACE
    except READING as error:
        raise UsageError(f"{files or SERVICE_NAMESPACE}: {error}; nothing was changed") from error


def kubeconfig_names(kubeconfig: Path | None, what: str) -> list[str]:
    """Of what a kubeconfig has of these: `contexts`, `clusters`, `users`. Raises `UsageError`."""
    files = _kubeconfig_files(kubeconfig)
    try:
        return KubeConfig(files, Choice()).names(what) if files else []
    except READING as error:
        raise UsageError(f"{files}: {error}; nothing was changed") from error


def _kubeconfig_files(kubeconfig: Path | None) -> str:
    """One path or several, as KUBECONFIG has them; empty where there is none."""
    if kubeconfig:
        if not kubeconfig.is_file():
            raise UsageError(f"{kubeconfig}: no such kubeconfig; nothing was changed")
        return str(kubeconfig)
    if files := os.environ.get("KUBECONFIG", ""):
        return files
    usual = Path.home() / ".kube" / "config"
    return str(usual) if usual.is_file() else ""


def _in_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and Path(SERVICE_TOKEN_FILENAME).is_file()
