"""`bulkhead events`: violations from a collector, history first and then as they arrive.

Next step: `cli.events_collector` for which one, `report.subscription`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bulkhead.cli import cluster_options
from bulkhead.cli.cluster_options import Scope, completes
from bulkhead.cli.collector import duration_s
from bulkhead.cli.events_collector import NAMESPACE, collector, notice

if TYPE_CHECKING:
    from bulkhead.kube.label_selector import Requirement
    from bulkhead.v1.violations_pb2 import StoredEntry

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
examples:
  %(prog)s --since 1h
  %(prog)s --follow --namespace shop --selector app=web
  %(prog)s --follow -A --policy web --verdict DENIED -o json
  %(prog)s --follow --kubeconfig staging.yaml --context admin --collector-namespace security
  %(prog)s --follow --count 1 --collector collector.example:7443 --tls-ca ca.pem
  %(prog)s --namespace shop --collector collector.example:7445 --tls-ca ca.pem --token-file token

Without --collector it speaks to the collector of the cluster that the kubeconfig names, by way of the API server, with
the certificate in its Secret bulkhead-client-cert; without a kubeconfig to one at 127.0.0.1:7443. It needs the
rights to list pods, get that Secret and create pods/portforward in the collector's namespace. Who may not read the
Secret shows the collector the token of the kubeconfig or of the pod's service account, or the one of --token-file,
where readers with tokens are served: that takes the right to get ConfigMap bulkhead-collector-ca instead (or --tls-ca),
and to watch violations.bulkhead.dev in the namespace asked for, or in all.

Of a cluster's collector it shows the violations of pods in the namespace of the context, or in -n; -A shows those of
all namespaces and of what is in none, such as processes of nodes. Of another collector it shows all without -n. Gaps,
which count what could not be told one by one, have no labels: --selector leaves them in, and says so.

exit status: 0 fine, also when ended with Ctrl-C; 2 wrong use; 3 the collector or
the API server cannot be reached, or does not permit it
"""
VERDICTS = ("DENIED", "KILLED", "AUDITED", "WOULD_DENY")
FORMATS = ("text", "json", "yaml", "falco")


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
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what arrives, until Ctrl-C")
    parser.add_argument("--since", metavar="TIME", type=duration_s, help="only from this long ago on: 90s, 15m, 1h, 7d")
    parser.add_argument("--policy", metavar="NAME", default="", help="only of this policy")
    completes(parser.add_argument("--pod", metavar="NAME", default="", help="only of this pod"), "Pod")
    parser.add_argument("--verdict", choices=VERDICTS, action="append", default=[], help="only these; may be repeated")
    cluster_options.add_output(parser, FORMATS, "json and falco: one object a line; yaml: one a document")
    parser.add_argument("--count", metavar="N", type=positive, default=0, help="end after so many lines")
    parser.add_argument("--tls-ca", metavar="FILE", type=Path, help="authority of the collector's certificate, PEM")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="one's own certificate, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    parser.add_argument(
        "--token-file", metavar="FILE", type=Path, help="show the token in it, instead of a certificate; over TLS only"
    )
    group = cluster_options.add_cluster(parser)
    cluster_options.add_namespaces(group, "of pods with these labels")
    collectors = group.add_argument(
        "--collector-namespace", metavar="NAME", default=NAMESPACE, help="where the collector runs (%(default)s)"
    )
    completes(collectors, "Namespace")
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
    # gRPC and the Kubernetes client take their time to load: `--help` does not pay for it
    from bulkhead.kube.label_selector import parse_selector  # noqa: PLC0415
    from bulkhead.report.subscription import Subscription  # noqa: PLC0415
    from bulkhead.v1.violations_pb2 import Filter  # noqa: PLC0415

    labels = parse_selector(arguments.selector)
    wanted = Filter(
        policy=arguments.policy,
        namespace=namespace(arguments),
        pod=arguments.pod,
        verdicts=[f"VERDICT_{word}" for word in arguments.verdict],
    )
    since_ns = time.time_ns() - arguments.since * 1_000_000_000 if arguments.since else 0
    line = line_format(arguments.output, output.isatty() and not os.environ.get("NO_COLOR"))
    shown = 0
    with collector(arguments) as (address, tls):
        subscription = Subscription(address, tls, wanted, since_ns)
        entries = subscription.follow(notice) if arguments.follow else subscription.history(notice)
        for stored in islice(with_labels(entries, labels), arguments.count or None):
            output.write(line(stored) + "\n")
            output.flush()
            shown += 1
    if not shown:
        notice(
            f"no violations {Scope(wanted.namespace, arguments.selector)}" + (", -A shows all" * bool(wanted.namespace))
        )


def namespace(arguments: argparse.Namespace) -> str:
    """Of what is asked for; empty for all."""
    if arguments.all_namespaces:
        return ""
    from bulkhead.kube.config import is_configured  # noqa: PLC0415

    if arguments.namespace or arguments.collector or not is_configured(arguments.kubeconfig):
        return str(arguments.namespace)
    return cluster_options.scope(arguments).namespace


def with_labels(entries: Iterable[StoredEntry], selector: tuple[Requirement, ...]) -> Iterator[StoredEntry]:
    """Violations whose pod's labels the selector selects, and gaps, of which that is not known."""
    told_of_gaps = False
    for stored in entries:
        if stored.entry.HasField("gap"):
            if selector and not told_of_gaps:
                notice("gaps have no labels: they are shown whatever --selector says")
                told_of_gaps = True
            yield stored
        elif all(each.holds(stored.entry.violation.labels) for each in selector):
            yield stored


def line_format(name: str, colours: bool) -> Callable[[StoredEntry], str]:
    """How an entry becomes a line."""
    from bulkhead.report.render import to_falco, to_json, to_text  # noqa: PLC0415

    if name == "json":
        return lambda stored: json.dumps(to_json(stored.entry, stored.id, stored.cursor), ensure_ascii=False)
    if name == "yaml":
        import yaml  # noqa: PLC0415

        return lambda stored: (
            "---\n"
            + str(
                yaml.safe_dump(to_json(stored.entry, stored.id, stored.cursor), sort_keys=False, allow_unicode=True)
            ).rstrip("\n")
        )
    if name == "falco":
        return lambda stored: json.dumps(to_falco(stored.entry, stored.id), ensure_ascii=False)
    return lambda stored: to_text(stored.entry, colours)
