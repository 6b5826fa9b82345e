"""`bulkhead events`: violations from a collector, history first and then as they arrive.

Where a kubeconfig or a pod's service account says where an API server is, the collector is the cluster's, by way of the
API server; else it is the one of --collector. Next step: `report.subscription`, `kube.portforward`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bulkhead.cli.collector import duration_s
from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.kube.client import Api
    from bulkhead.report.channel import Pems, Tls
    from bulkhead.v1.violations_pb2 import StoredEntry

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
examples:
  bulkhead events --since 1h
  bulkhead events --follow --policy web --verdict DENIED -o json
  bulkhead events --follow --kubeconfig staging.yaml --context admin --collector-namespace security
  bulkhead events --follow --count 1 --collector collector.example:7443 --tls-ca ca.pem

Without --collector it speaks to the collector of the cluster that the kubeconfig names, by way of the API server, with
the certificate in its Secret bulkhead-client-tls; without a kubeconfig to one at 127.0.0.1:7443. It needs the rights to
list pods, get that Secret and create pods/portforward in the collector's namespace.

exit status: 0 fine, also when ended with Ctrl-C; 2 wrong use; 3 the collector cannot be reached
"""
LOCAL = "127.0.0.1:7443"
NAMESPACE = "bulkhead-system"
SELECTOR = "app.kubernetes.io/name=bulkhead,app.kubernetes.io/component=collector"
PORT = 7443
SECRET = "bulkhead-client-tls"
SERVER_NAME = "bulkhead-collector"  # one of those that the chart's certificate is for
VERDICTS = ("DENIED", "KILLED", "AUDITED", "WOULD_DENY")
FORMATS = ("text", "json", "falco")


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "events",
        help="show violations from a collector",
        description="Shows the violations that a collector holds, and with --follow those that arrive.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--collector", metavar="ADDRESS", default="", help="host:port, instead of the cluster's")
    parser.add_argument("--kubeconfig", metavar="FILE", type=Path, help="of the cluster (KUBECONFIG, ~/.kube/config)")
    parser.add_argument("--context", metavar="NAME", default="", help="of the kubeconfig, not the current one")
    parser.add_argument(
        "--collector-namespace", metavar="NAME", default=NAMESPACE, help="where the collector runs (%(default)s)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what arrives, until Ctrl-C")
    parser.add_argument("--since", metavar="TIME", type=duration_s, help="only from this long ago on: 90s, 15m, 1h, 7d")
    parser.add_argument("--policy", metavar="NAME", default="", help="only of this policy")
    parser.add_argument("--namespace", "-n", metavar="NAME", default="", help="only of pods in this namespace")
    parser.add_argument("--pod", metavar="NAME", default="", help="only of this pod")
    parser.add_argument("--verdict", choices=VERDICTS, action="append", default=[], help="only these; may be repeated")
    parser.add_argument("-o", "--output", choices=FORMATS, default="text", help="json and falco: one object a line")
    parser.add_argument("--count", metavar="N", type=positive, default=0, help="end after so many lines")
    parser.add_argument("--tls-ca", metavar="FILE", type=Path, help="authority of the collector's certificate, PEM")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="one's own certificate, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    parser.set_defaults(run=run)


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: write a whole number from 1 on")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Shows violations until there are no more, enough were shown, or Ctrl-C. Raises Unreachable, UsageError."""
    try:
        show(arguments, sys.stdout)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        # whoever read this has what it wanted; the interpreter must not try to flush once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def show(arguments: argparse.Namespace, output: TextIO) -> None:
    """Writes lines to `output`, each flushed; about the connection it speaks on stderr."""
    # gRPC takes its time to load: `--help` does not pay for it
    from bulkhead.report.subscription import Subscription  # noqa: PLC0415
    from bulkhead.v1.violations_pb2 import Filter  # noqa: PLC0415

    wanted = Filter(
        policy=arguments.policy,
        namespace=arguments.namespace,
        pod=arguments.pod,
        verdicts=[f"VERDICT_{word}" for word in arguments.verdict],
    )
    since_ns = time.time_ns() - arguments.since * 1_000_000_000 if arguments.since else 0
    line = line_format(arguments.output, output.isatty() and not os.environ.get("NO_COLOR"))
    with collector(arguments) as (address, tls):
        subscription = Subscription(address, tls, wanted, since_ns)
        entries = subscription.follow(notice) if arguments.follow else subscription.history(notice)
        for stored in islice(entries, arguments.count or None):
            output.write(line(stored) + "\n")
            output.flush()


@contextmanager
def collector(arguments: argparse.Namespace) -> Iterator[tuple[str, Tls | None]]:
    """The address to speak to, and with what certificates. Raises UsageError, Unreachable."""
    from bulkhead.report.channel import TlsFiles  # noqa: PLC0415

    files = (arguments.tls_ca, arguments.tls_cert, arguments.tls_key)
    given = any(files)
    if arguments.collector:
        if arguments.kubeconfig or arguments.context:
            raise UsageError("--collector and a kubeconfig are two ways to one: give one of them; nothing was changed")
        yield arguments.collector, TlsFiles(*files) if given else None
        return
    # the Kubernetes client takes longer still
    from bulkhead.kube.config import is_configured  # noqa: PLC0415

    if not is_configured(arguments.kubeconfig):
        yield LOCAL, TlsFiles(*files) if given else None
        return
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.pods import PodChoice  # noqa: PLC0415
    from bulkhead.kube.portforward import forward_to  # noqa: PLC0415

    api = connect(arguments.kubeconfig, arguments.context)
    namespace = arguments.collector_namespace
    tls = TlsFiles(*files, server_name=SERVER_NAME) if given else SecretTls(api, namespace)
    with forward_to(api, PodChoice(namespace, selector=SELECTOR), PORT, notice) as address:
        yield address, tls


@dataclass(frozen=True)
class SecretTls:
    """The subscriber's certificate that the chart made: fetched for each connection, kept in memory only."""

    api: Api
    namespace: str

    def read(self) -> Pems:
        """What is in the Secret now. Raises UsageError, Unreachable."""
        from bulkhead.kube.secrets import read_secret  # noqa: PLC0415
        from bulkhead.report.channel import Pems  # noqa: PLC0415

        remedy = (
            "the chart makes it; name its namespace with --collector-namespace, or give --tls-ca, --tls-cert, --tls-key"
        )
        values = read_secret(self.api, self.namespace, SECRET, remedy)
        missing = [key for key in ("ca.crt", "tls.crt", "tls.key") if not values.get(key)]
        if missing:
            raise UsageError(f"Secret {self.namespace}/{SECRET} lacks {', '.join(missing)}: {remedy}")
        return Pems(values["ca.crt"], values["tls.crt"], values["tls.key"], SERVER_NAME)


def notice(text: str) -> None:
    """About the connection, never about violations."""
    print(text, file=sys.stderr, flush=True)


def line_format(name: str, colours: bool) -> Callable[[StoredEntry], str]:
    """How an entry becomes a line."""
    from bulkhead.report.render import to_falco, to_json, to_text  # noqa: PLC0415

    if name == "json":
        return lambda stored: json.dumps(to_json(stored.entry, stored.id, stored.cursor), ensure_ascii=False)
    if name == "falco":
        return lambda stored: json.dumps(to_falco(stored.entry, stored.id), ensure_ascii=False)
    return lambda stored: to_text(stored.entry, colours)
