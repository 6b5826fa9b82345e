"""`bulkhead agent`: the node agent."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.report.channel import TlsFiles

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
example:
  bulkhead agent --policies /etc/bulkhead/policies --cgroup '/sys/fs/cgroup/demo/*' --collector 127.0.0.1:7443

Every cgroup that matches, with all below it, is put under every policy of the folder (selectors are not consulted
unless --label is given). Changes of either are followed. Ended or killed, it leaves what it enforces in the kernel; the
next one takes over.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "agent",
        help="the node agent",
        description="Enforces policies on containers of this node.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--policies", type=Path, required=True, metavar="DIR", help="folder of policy documents")
    parser.add_argument("--cgroup", required=True, metavar="GLOB", help="cgroups to put under them")
    parser.add_argument("--label", dest="labels", action="append", default=[], metavar="K=V")
    parser.add_argument("--node", default=os.uname().nodename, metavar="NAME", help="this node's name (%(default)s)")
    parser.add_argument("--collector", default="", metavar="ADDRESS", help="host:port to deliver violations to")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/bulkhead"), metavar="DIR")
    parser.add_argument("--pins", type=Path, default=Path("/sys/fs/bpf/bulkhead"), metavar="DIR", help="on a bpffs")
    parser.add_argument("--tls-ca", metavar="FILE", type=Path, help="authority of the collector's certificate, PEM")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="one's own certificate, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    if not arguments.policies.is_dir():
        raise UsageError(f"--policies {arguments.policies}: not a folder; what is enforced already goes on")
    from bulkhead.agent.desired import Labels  # noqa: PLC0415
    from bulkhead.agent.main import AgentSettings, run_agent  # noqa: PLC0415
    from bulkhead.cli.run import parse_labels  # noqa: PLC0415
    from bulkhead.log import configure  # noqa: PLC0415
    from bulkhead.settings import Paths  # noqa: PLC0415

    configure()
    run_agent(
        AgentSettings(
            policies=arguments.policies,
            cgroup=arguments.cgroup,
            node=arguments.node,
            collector=arguments.collector,
            tls=_tls(arguments),
            labels=Labels(parse_labels(arguments.labels) if arguments.labels else None),
            paths=Paths(state=arguments.state, pins=arguments.pins),
        )
    )
    return 0


def _tls(arguments: argparse.Namespace) -> TlsFiles | None:
    from bulkhead.report.channel import TlsFiles  # noqa: PLC0415

    if not (arguments.tls_ca or arguments.tls_cert or arguments.tls_key):
        return None
    return TlsFiles(arguments.tls_ca, arguments.tls_cert, arguments.tls_key)
