"""Which collector `bulkhead events` speaks to, and how it shows who it is: by a certificate, or by a token.

Where a kubeconfig or a pod's service account says where an API server is, the collector is the cluster's, by way of the
API server; else it is the one of --collector. Whoever may not read the Secret with the subscribers' certificate shows
the token that the API server knows them by. Next step: `kube.portforward`, `report.channel`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.cli.cluster_options import connect_to, is_chosen
from bulkhead.errors import BulkheadError, UsageError

if TYPE_CHECKING:
    from bulkhead.kube.client import Api
    from bulkhead.report.channel import Pems, Tls, TlsFiles

NAMESPACE = "bulkhead-system"
SELECTOR = "app.kubernetes.io/name=bulkhead,app.kubernetes.io/component=collector"
PORT, TOKEN_PORT = 7443, 7445
LOCAL, LOCAL_FOR_TOKENS = f"127.0.0.1:{PORT}", f"127.0.0.1:{TOKEN_PORT}"
SECRET = "bulkhead-client-cert"
AUTHORITY = "bulkhead-collector-ca"  # a ConfigMap: what it holds is no secret
SERVER_NAME = "bulkhead-collector"  # one of those that the chart's certificate is for
REMEDY = "the chart makes it; name its namespace with --collector-namespace, or give --tls-ca, --tls-cert, --tls-key"


@contextmanager
def collector(arguments: argparse.Namespace) -> Iterator[tuple[str, Tls | None]]:
    """The address to speak to, and with what certificates or token. Raises UsageError, Unreachable."""
    from bulkhead.report.channel import TlsFiles  # noqa: PLC0415

    if arguments.token_file and arguments.tls_cert:
        raise UsageError("--token-file and --tls-cert are two ways to say who one is: give one of them")
    files = TlsFiles(arguments.tls_ca, arguments.tls_cert, arguments.tls_key, token=arguments.token_file)
    given = files if files != TlsFiles() else None
    if arguments.collector:
        if is_chosen(arguments):
            raise UsageError("--collector and a kubeconfig are two ways to one: give one of them; nothing was changed")
        yield arguments.collector, given
        return
    # the Kubernetes client takes longer still
    from bulkhead.kube.config import is_configured  # noqa: PLC0415

    if not is_configured(arguments.kubeconfig):
        yield LOCAL_FOR_TOKENS if arguments.token_file else LOCAL, given
        return
    from bulkhead.kube.pods import PodChoice  # noqa: PLC0415
    from bulkhead.kube.portforward import forward_to  # noqa: PLC0415

    api = connect_to(arguments)
    namespace = arguments.collector_namespace
    tls = shown(api, namespace, files)
    port = TOKEN_PORT if isinstance(tls, TokenTls) else PORT
    with forward_to(api, PodChoice(namespace, selector=SELECTOR), port, notice) as address:
        yield address, tls


def shown(api: Api, namespace: str, files: TlsFiles) -> Tls:
    """What to show the cluster's collector: what was given, else the Secret's, else the API server's token."""
    token = TokenTls(api, namespace, files.authority, files.token)
    if files.certificate or files.key:
        return replace(files, server_name=SERVER_NAME)
    if files.token or (files.authority and token.is_known()):
        return token
    if files.authority:
        return replace(files, server_name=SERVER_NAME)
    return certificate_or_token(SecretTls(api, namespace), token)


def certificate_or_token(secret: SecretTls, token: TokenTls) -> Tls:
    """The certificate where it may be read, or the token where there is one. Raises UsageError, Unreachable."""
    from bulkhead.kube.errors import Forbidden  # noqa: PLC0415

    try:
        secret.read()
    except (UsageError, Forbidden) as refusal:
        if not token.is_known():
            raise
        try:
            token.read()
        except BulkheadError as error:
            raise UsageError(f"no certificate: {refusal}; and by token: {error}") from error
        notice(f"showing the API server's token to the collector: {refusal}")
        return token
    return secret


@dataclass(frozen=True)
class SecretTls:
    """The subscriber's certificate that the chart made: fetched for each connection, kept in memory only."""

    api: Api
    namespace: str

    def read(self) -> Pems:
        """What is in the Secret now. Raises UsageError, Unreachable."""
        from bulkhead.kube.secrets import read_secret  # noqa: PLC0415
        from bulkhead.report.channel import Pems  # noqa: PLC0415

        values = read_secret(self.api, self.namespace, SECRET, REMEDY)
        missing = [key for key in ("ca.crt", "tls.crt", "tls.key") if not values.get(key)]
        if missing:
            raise UsageError(f"Secret {self.namespace}/{SECRET} lacks {', '.join(missing)}: {REMEDY}")
        return Pems(values["ca.crt"], values["tls.crt"], values["tls.key"], SERVER_NAME)


@dataclass(frozen=True)
class TokenTls:
    """A token, of a file or the one that the API server knows us by, and the authority, of a file or the chart's."""

    api: Api
    namespace: str
    authority: Path | None = None
    token: Path | None = None

    def is_known(self) -> bool:
        """Whether there is a token at all."""
        return self.token is not None or bool(self.api.token())

    def read(self) -> Pems:
        """Both as they are now. Raises UsageError, Unreachable."""
        from bulkhead.report.channel import Pems, read_pem, read_token  # noqa: PLC0415

        authority = read_pem(self.authority) if self.authority else self._published()
        token = read_token(self.token) if self.token else self.api.token()
        return Pems(authority, server_name=SERVER_NAME, token=token)

    def _published(self) -> bytes:
        from bulkhead.kube.secrets import read_config  # noqa: PLC0415

        remedy = "the chart makes it with collector.tokens.enabled; name its namespace with --collector-namespace"
        text = read_config(self.api, self.namespace, AUTHORITY, f"{remedy}, or give --tls-ca").get("ca.crt")
        if not text:
            raise UsageError(f"ConfigMap {self.namespace}/{AUTHORITY} lacks ca.crt: {remedy}, or give --tls-ca")
        return text.encode()


def notice(text: str) -> None:
    """About the connection, never about violations."""
    print(text, file=sys.stderr, flush=True)
