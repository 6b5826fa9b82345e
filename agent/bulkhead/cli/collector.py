"""`bulkhead collector`: the central service. Next step: `bulkhead.collector.server`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.settings import Paths

if TYPE_CHECKING:
    from bulkhead.collector.server import TokenReaders

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
example:
  bulkhead collector --listen 0.0.0.0:7443 --store /var/lib/bulkhead-collector \\
      --tls-cert server.pem --tls-key server.key --tls-client-ca agents-ca.pem --retain 30d --retain-bytes 50G
"""
AUDIENCE = "bulkhead-collector"
SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def duration_s(text: str) -> int:
    """Seconds of a number and a unit: 90s, 15m, 1h, 7d, 2w."""
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number and s, m, h, d or w, such as 1h")
    return int(match[1]) * SECONDS[match[2]]


def size_bytes(text: str) -> int:
    """Bytes of a number and a unit: 500M, 10G."""
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number and K, M, G or T, such as 10G")
    return int(match[1]) * BYTES[match[2]]


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "collector",
        help="run the central service that keeps and serves violations",
        description="Takes violations from agents, keeps them, serves them to subscribers. SIGTERM ends it cleanly.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", metavar="ADDRESS", default="127.0.0.1:7443", help="host:port (%(default)s)")
    parser.add_argument("--store", metavar="DIR", type=Path, default=Paths().store, help="where to keep (%(default)s)")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="certificate of this service, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    parser.add_argument("--tls-client-ca", metavar="FILE", type=Path, help="only clients that this authority signed")
    parser.add_argument(
        "--tls-agent", dest="agents", metavar="NAME", action="append", default=[],
        help="only clients whose certificate has this common name may deliver; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--tls-agent-nodes", dest="named_nodes", action="store_true",
        help="only for the node that their certificate names",
    )  # fmt: skip
    parser.add_argument(
        "--tls-reader", dest="readers", metavar="NAME", action="append", default=[],
        help="only those may read; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--token-listen", metavar="ADDRESS", default="",
        help="host:port for readers with a token of a cluster: each sees what it may read there",
    )  # fmt: skip
    parser.add_argument("--token-audience", metavar="NAME", default=AUDIENCE, help="whom tokens are for (%(default)s)")
    parser.add_argument(
        "--no-api-server-tokens", dest="api_server_tokens", action="store_false",
        help="take only tokens for that audience, not those for the API server as well",
    )  # fmt: skip
    parser.add_argument("--kubeconfig", metavar="FILE", type=Path, help="of the cluster that knows the tokens")
    parser.add_argument("--monitoring", default="", metavar="ADDRESS", help="host:port to tell health and metrics at")
    parser.add_argument("--retain", metavar="TIME", type=duration_s, default="7d", help="how long (%(default)s)")
    parser.add_argument("--retain-bytes", metavar="SIZE", type=size_bytes, default="10G", help="how much (%(default)s)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serves until it is told to stop."""
    # gRPC takes its time to load: only this command and `events` pay for it
    import asyncio  # noqa: PLC0415

    from bulkhead import log  # noqa: PLC0415
    from bulkhead.collector.roles import roles  # noqa: PLC0415
    from bulkhead.collector.server import CollectorOptions, serve  # noqa: PLC0415
    from bulkhead.report.channel import TlsFiles  # noqa: PLC0415
    from bulkhead.settings import StoreLimits  # noqa: PLC0415

    log.configure()
    options = CollectorOptions(
        listen=arguments.listen,
        store=arguments.store,
        tls=TlsFiles(arguments.tls_client_ca, arguments.tls_cert, arguments.tls_key),
        roles=roles(arguments.agents, arguments.readers, arguments.named_nodes),
        monitoring=arguments.monitoring,
        tokens=token_readers(arguments),
        limits=StoreLimits(retain_s=arguments.retain, retain_bytes=arguments.retain_bytes),
    )
    asyncio.run(serve(options))
    return 0


def token_readers(arguments: argparse.Namespace) -> TokenReaders | None:
    """Who knows the tokens of readers; None where they are not asked for. Raises UsageError."""
    if not arguments.token_listen:
        return None
    # the Kubernetes client takes its time and memory
    from bulkhead.collector.server import TokenReaders  # noqa: PLC0415
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.kubeconfig import Choice  # noqa: PLC0415
    from bulkhead.kube.metrics import client_samples  # noqa: PLC0415
    from bulkhead.kube.reviews import Reviews  # noqa: PLC0415

    api = connect(Choice(arguments.kubeconfig))
    reviewer = Reviews(api, arguments.token_audience, arguments.api_server_tokens)
    return TokenReaders(arguments.token_listen, reviewer, samples=lambda: client_samples(api, {}))
