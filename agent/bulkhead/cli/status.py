"""`bulkhead status`: is a policy, a pod or a node enforced right now, which generation, since when, and why not.

As the agents say. Next step: the object NodeState, `policy.model.node_state`; `cli.status_pod` for pods.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.kube.client import Api

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
examples:
  bulkhead status
  bulkhead status shop/web -o json
  bulkhead status --pod shop/web-0
  bulkhead status --node node-1

POLICY is NAMESPACE/NAME, or NAME of a cluster-wide policy. A policy that selects nothing on a node is not shown for it.
exit status: 0 all is enforced; 1 something is not; 3 the API server cannot be reached
"""
HEADINGS = ("NODE", "READY", "POLICY", "GENERATION", "ENFORCED", "SINCE")


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "status",
        help="show which nodes enforce which policies, and why not",
        description="Shows what the agents say of their nodes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("policy", nargs="?", default="", metavar="POLICY", help="only of this policy")
    parser.add_argument("--pod", default="", metavar="NAMESPACE/NAME", help="of the containers of this pod")
    parser.add_argument("--node", default="", metavar="NAME", help="only of this node")
    parser.add_argument(
        "-o",
        "--output",
        choices=("text", "json"),
        default="text",
        help="json: one node, or one container and policy, a line",
    )
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Shows nodes, or a pod. Raises `Unreachable`."""
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.objects import collection_path  # noqa: PLC0415

    if arguments.pod and (arguments.policy or arguments.node):
        raise UsageError("--pod goes without POLICY and --node; nothing was asked")
    api = connect(arguments.kubeconfig)
    if arguments.pod:
        return show_pod(api, arguments.pod, arguments.output)
    listed = api.get(collection_path("NodeState"))
    found = [each for each in listed.get("items") or () if arguments.node in ("", each["metadata"]["name"])]
    nodes = [of_policy(node, arguments.policy) for node in found]
    older = list(outdated(nodes, newest_generation(api, arguments.policy))) if arguments.policy else []
    if arguments.output == "json":
        for node in nodes:
            print(json.dumps({"node": node["metadata"]["name"], **node["status"]}))
    else:
        print("\n".join([*table(nodes), *older]))
    return 0 if nodes and not older and all(map(is_enforced, nodes)) else 1


def newest_generation(api: Api, policy: str) -> int:
    """Of a policy, by how it is named here. Raises `NotFound`."""
    from bulkhead.kube.objects import object_path  # noqa: PLC0415

    namespace, slash, name = policy.rpartition("/")
    kind = "SecurityPolicy" if slash else "ClusterSecurityPolicy"
    return int(api.get(object_path(kind, namespace, name))["metadata"]["generation"])


def outdated(nodes: Iterable[Mapping[str, Any]], newest: int) -> Iterator[str]:
    """A line a node that enforces another generation of a policy than the newest."""
    for node in nodes:
        for row in node["status"].get("policies") or ():
            if row["generation"] != newest:
                yield f"{node['metadata']['name']}: {title(row)}: generation {newest} is not in force yet"


def show_pod(api: Api, name: str, output: str) -> int:
    """A row a container and policy; 0 where each container is under all policies that select it."""
    from bulkhead.cli.status_pod import HEADINGS, YES, answers, ask  # noqa: PLC0415

    namespace, slash, pod = name.partition("/")
    found = list(answers(ask(api, namespace if slash else "default", pod if slash else name)))
    if output == "json":
        for each in found:
            print(json.dumps(vars(each)))
    else:
        print("\n".join(columns([HEADINGS, *(each.cells() for each in found)])))
    return 0 if found and all(each.enforced == YES or each.policy == "-" for each in found) else 1


def of_policy(node: Mapping[str, Any], policy: str) -> dict[str, Any]:
    """A NodeState with only what concerns the policy; all of it where that is empty."""
    status = dict(node.get("status") or {})
    if policy:
        status["policies"] = [row for row in status.get("policies") or () if title(row) == policy]
        status["failures"] = [row for row in status.get("failures") or () if row["object"].split(" ")[-1] == policy]
    return {"metadata": node["metadata"], "status": status}


def is_enforced(node: Mapping[str, Any]) -> bool:
    """Whether nothing is behind."""
    status = node["status"]
    behind = any(row["enforced"] < row["selected"] for row in status.get("policies") or ())
    return ready(node) == "True" and not behind and not status.get("failures")


def ready(node: Mapping[str, Any]) -> str:
    """The node's condition."""
    conditions = node["status"].get("conditions") or ()
    return next((str(each["status"]) for each in conditions if each["type"] == "Ready"), "Unknown")


def title(row: Mapping[str, Any]) -> str:
    """How a policy is named."""
    return f"{row.get('namespace', '')}/{row['name']}".lstrip("/")


def table(nodes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The lines for people: a row a node and policy, then what is not enforced and why."""
    yield from columns([HEADINGS, *(row for node in nodes for row in _rows(node))])
    for node in nodes:
        for line in _complaints(node):
            yield f"{node['metadata']['name']}: {line}"


def columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Rows whose cells stand below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _rows(node: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    name, state = node["metadata"]["name"], ready(node)
    policies = node["status"].get("policies") or ()
    for row in policies:
        share = f"{row['enforced']}/{row['selected']}"
        yield name, state, title(row), str(row["generation"]), share, row["since"]
    if not policies:
        yield name, state, "-", "-", "-", "-"


def _complaints(node: Mapping[str, Any]) -> Iterator[str]:
    for condition in node["status"].get("conditions") or ():
        if condition["status"] != "True":
            yield f"{condition['reason']}: {condition['message']}"
    for failure in node["status"].get("failures") or ():
        yield f"{failure['object']}: {failure['reason']} (since {failure['since']})"
