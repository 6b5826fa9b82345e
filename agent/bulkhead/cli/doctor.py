"""`bulkhead doctor`: what this kernel and node can enforce, or what is wrong on nodes of a cluster; and how to mend it.

The kernel is asked by `bulkhead.kernel.features`; what belongs to the node is added here. Exit status 0 where every
section of a policy can be enforced, 1 where not. Next step: `cli.doctor_nodes` for nodes of a cluster; for a reader
docs/operations.md explains each line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options
from bulkhead.cli.cluster_options import EXIT_STATUS, completes
from bulkhead.cli.events_collector import NAMESPACE
from bulkhead.cli.tables import as_document
from bulkhead.errors import NotEnforceable, UsageError
from bulkhead.kernel.features import CGROUP_V2, SECTIONS, Feature, Report, detect
from bulkhead.node.cgroups import mount_point

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

STATES = {True: "ok", False: "missing", None: "unknown"}


EXAMPLE = f"""\
examples:
  %(prog)s
  %(prog)s node-1
  %(prog)s --all --context staging
  %(prog)s --selector pool=web -o yaml

Without NODE it tries on the kernel that it runs on everything that enforcement needs. With NODE, --all or --selector
it says what can be told of nodes of a cluster from afar: the node, its agent, what that says of itself. It needs the
rights to list nodes and the agents' pods, get nodestates, and create pods/portforward in the agents' namespace.

exit status: 0 everything can be enforced, or nothing is wrong; 1 something is missing, wrong or not known; 2 wrong use;
{EXIT_STATUS}
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "doctor",
        help="what this kernel, or nodes of a cluster, can enforce",
        description="What this kernel and node can enforce, what is missing and how to mend it; or what is wrong on "
        "nodes of a cluster.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completes(parser.add_argument("nodes", nargs="*", metavar="NODE", help="of the cluster"), "Node")
    parser.add_argument("--all", action="store_true", help="all nodes of the cluster")
    cluster_options.add_output(parser, ("text", "json", "yaml"))
    group = cluster_options.add_cluster(parser)
    cluster_options.add_selector(group, "nodes with these labels")
    where = group.add_argument(
        "--agent-namespace", metavar="NAME", default=NAMESPACE, help="where the agents run (%(default)s)"
    )
    completes(where, "Namespace")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, print to stdout, and return the exit status. Raises `UsageError`, `Unreachable`."""
    if arguments.nodes or arguments.all or arguments.selector:
        return look_at_nodes(arguments)
    if cluster_options.is_chosen(arguments):
        raise UsageError("of a cluster, name nodes, or --all, or --selector; nothing was looked at")
    report = detect((cgroup_hierarchy(),))
    print(as_text(report) if arguments.output == "text" else as_document(described(report), arguments.output))
    return 0 if report.can_enforce else 1


def look_at_nodes(arguments: argparse.Namespace) -> int:
    """Of a cluster."""
    from bulkhead.cli.doctor_nodes import chosen, show_nodes  # noqa: PLC0415  # the Kubernetes client takes its time

    if bool(arguments.nodes) + bool(arguments.all) + bool(arguments.selector) > 1:
        raise UsageError("NODE, --all and --selector are three ways to name nodes: give one; nothing was looked at")
    api = cluster_options.connect_to(arguments)
    nodes = chosen(api, arguments.nodes, arguments.selector)
    return show_nodes(api, nodes, arguments.agent_namespace, arguments.output)


def cgroup_hierarchy() -> Feature:
    """The unified cgroup hierarchy as a feature."""
    try:
        return Feature(CGROUP_V2, True, True, str(mount_point()))
    except NotEnforceable as error:
        found, _, remedy = str(error).removesuffix(")").partition("; nothing is enforced (")
        return Feature(CGROUP_V2, False, True, found, remedy)


def described(report: Report) -> dict[str, object]:
    """For programs; stable."""
    return {
        "kernel": report.kernel,
        "can_enforce": report.can_enforce,
        "bpf_lsm": report.bpf_lsm,
        "sections": {
            section: {"enforceable": not report.missing(section), "missing": list(report.missing(section))}
            for section in SECTIONS
        },
        "features": [asdict(feature) for feature in report.features],
    }


def as_text(report: Report) -> str:
    """Three parts: what can be enforced, what was found, what to do."""
    return "\n".join((*_sections(report), "", *_features(report), "", *_remedies(report)))


def _sections(report: Report) -> Iterator[str]:
    yield f"Kernel {report.kernel} can enforce:"
    for section in SECTIONS:
        missing = report.missing(section)
        yield f"  {section:<14}{'no: ' + ', '.join(missing) if missing else 'yes'}"


def _features(report: Report) -> Iterator[str]:
    width = max(len(feature.name) for feature in report.features) + 2
    yield "Found:"
    for feature in report.features:
        optional = "" if feature.needed or feature.ok else " (optional)"
        yield f"  {feature.name:<{width}}{STATES[feature.ok]:<9}{feature.found}{optional}"


def _remedies(report: Report) -> Iterator[str]:
    to_mend = [feature for feature in report.features if not feature.ok and feature.remedy]
    for title, needed in (("To mend:", True), ("Worth mending:", False)):
        remedies = [feature for feature in to_mend if feature.needed is needed and feature.ok is False]
        if remedies:
            yield title
            yield from (f"  {feature.name}: {feature.remedy}" for feature in remedies)
    if not report.can_enforce:
        yield "Not everything can be enforced on this machine."
    elif report.bpf_lsm:
        yield "Everything can be enforced."
    else:
        yield "Everything can be enforced, by programs on functions: at more cost than by LSM hooks."
