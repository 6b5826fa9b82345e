"""`bulkhead status`: what is enforced where, as the agents say it in NodeState objects. Reads, and changes nothing.

Next step: `cli.status_nodes` by node and policy; `cli.status_pods` by container; docs/kubernetes.md for what to do
about what it shows.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options
from bulkhead.cli.cluster_options import EXIT_STATUS, completes
from bulkhead.errors import UsageError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = f"""\
examples:
  %(prog)s -A
  %(prog)s web --namespace shop -o wide
  %(prog)s --node node-1 -A -o json
  %(prog)s --pod web-0 --namespace shop
  %(prog)s --selector app=web -A --context staging

Shows the policies of a namespace and those of the whole cluster. POLICY is one of them by its name, or NAMESPACE/NAME,
secpol/NAME, csecpol/NAME. A policy that selects nothing on a node is not shown for it. With --pod or --selector it
shows the containers of pods instead, and under which policies each is.

exit status: 0 all that is shown is enforced; 1 something is not; 2 wrong use, or no such object; {EXIT_STATUS}
"""


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "status",
        help="show what is enforced on which nodes and pods, and why not",
        description="Shows what the agents say of their nodes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    policy = parser.add_argument("policy", nargs="?", default="", metavar="POLICY", help="only of this policy")
    completes(policy, "Policy")
    pod = parser.add_argument("--pod", default="", metavar="NAME", help="of the containers of this pod")
    completes(pod, "Pod")
    node = parser.add_argument("--node", default="", metavar="NAME", help="only of this node")
    completes(node, "Node")
    cluster_options.add_output(parser)
    group = cluster_options.add_cluster(parser)
    cluster_options.add_namespaces(group, "of the containers of pods with these labels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Shows nodes, or pods. Raises `Unreachable`, `UsageError`."""
    from bulkhead.cli.status_nodes import show_nodes  # noqa: PLC0415
    from bulkhead.cli.status_pods import show_pods  # noqa: PLC0415

    by_pod = arguments.pod or arguments.selector
    if by_pod and (arguments.policy or arguments.node):
        raise UsageError("--pod and --selector go without POLICY and --node; nothing was asked")
    if arguments.pod and arguments.selector:
        raise UsageError("--pod and --selector are two ways to name pods: give one of them; nothing was asked")
    scope = cluster_options.scope(arguments)
    api = cluster_options.connect_to(arguments)
    if by_pod:
        return show_pods(api, scope, arguments.pod, arguments.output)
    return show_nodes(api, scope, (arguments.policy, arguments.node), arguments.output)
