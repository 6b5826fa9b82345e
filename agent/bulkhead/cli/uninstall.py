"""`bulkhead uninstall`: has every agent of a cluster take all of Bulkhead out of its node's kernel.

The chart runs it before Helm removes the agents. Next step: `kube.removal`.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options
from bulkhead.cli.cluster_options import EXIT_STATUS

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = f"""\
example:
  bulkhead uninstall --namespace bulkhead-system --daemonset bulkhead-agent

Nothing is enforced any more afterwards. `helm uninstall` does this by itself; policies stay, for the next install.
exit status: 0 every node is clean; 1 some are not, and are named; 2 there are no such agents; {EXIT_STATUS}
"""


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "uninstall",
        help="take all of Bulkhead out of every node's kernel",
        description="Restarts every agent so that it takes out what it put into its node's kernel, and waits.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--namespace", "-n", default="bulkhead-system", help="of the agents (%(default)s)")
    parser.add_argument("--daemonset", default="bulkhead-agent", metavar="NAME", help="of the agents (%(default)s)")
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="(%(default)g)")
    cluster_options.add_cluster(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Waits until every node is clean. Raises `Unreachable`, `NotEnforceable`."""
    from bulkhead.kube.removal import AgentSet, remove_everywhere  # noqa: PLC0415

    agents = AgentSet(cluster_options.connect_to(arguments), arguments.namespace, arguments.daemonset)
    remove_everywhere(agents, arguments.timeout, lambda text: print(text, file=sys.stderr, flush=True))
    return 0
