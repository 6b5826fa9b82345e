"""`bulkhead status` by node: which of them enforce which policies, of which generation, since when, and why not.

Pure but for `show_nodes` and `named`. Next step: `cli.tables`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bulkhead.cli.cluster_options import Scope
from bulkhead.cli.tables import as_list, columns
from bulkhead.errors import UsageError
from bulkhead.kube.client import Api
from bulkhead.kube.errors import NotFound
from bulkhead.kube.objects import collection_path, object_path
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.policy.model import API_VERSION

Node = Mapping[str, Any]

HEADINGS = ("NODE", "READY", "POLICY", "GENERATION", "ENFORCED", "SINCE")
WIDE = ("KERNEL", "AGENT")
TYPES = {"secpol": 0, "securitypolicy": 0, "securitypolicies": 0}
TYPES |= {"csecpol": 1, "clustersecuritypolicy": 1, "clustersecuritypolicies": 1}


def show_nodes(api: Api, scope: Scope, wanted: tuple[str, str], output: str) -> int:
    """`wanted`: a policy and a node, or empty. 0 where all that is shown is enforced."""
    policy, node = wanted
    newest = named(api, scope.namespace, policy) if policy else None
    found = [api.get(object_path("NodeState", "", node))] if node else _listed(api)
    nodes = [narrowed(each, scope.namespace, newest) for each in found]
    older = list(outdated(nodes, newest or {}))
    if output in ("json", "yaml"):
        print(as_list(nodes, output))
    elif output == "name":
        print("\n".join(f"nodestate.bulkhead.dev/{each['metadata']['name']}" for each in nodes))
    else:
        print("\n".join([*table(nodes, output == "wide"), *older]))
    return 0 if nodes and not older and all(map(is_enforced, nodes)) else 1


def named(api: Api, namespace: str, name: str) -> dict[PolicyKey, int]:
    """The policies of that name and the newest generation of each. Raises `UsageError` where there are none."""
    before, _, last = name.rpartition("/")
    kinds: tuple[str, ...] = POLICY_KINDS
    if before in TYPES:
        kinds = (POLICY_KINDS[TYPES[before]],)
    elif before:
        kinds, namespace = POLICY_KINDS[:1], before
    found = [(kind, value) for kind in kinds for value in _of_name(api, kind, namespace, last)]
    if not found:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        raise UsageError(
            f"there is no policy {last} {where}: -n names another one, -A looks in all; nothing was changed"
        )
    return {key_of(kind, value): int(value["metadata"]["generation"]) for kind, value in found}


def _of_name(api: Api, kind: str, namespace: str, name: str) -> list[dict[str, Any]]:
    if kind == POLICY_KINDS[0] and not namespace:
        listed = api.get(collection_path(kind), {"fieldSelector": f"metadata.name={name}"})
        return list(listed.get("items") or ())
    try:
        return [api.get(object_path(kind, namespace, name))]
    except NotFound:
        return []


def _listed(api: Api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.get(collection_path("NodeState")).get("items") or []
    return items


def outdated(nodes: Iterable[Node], newest: Mapping[PolicyKey, int]) -> Iterator[str]:
    """A line a node that enforces another generation of a policy than the newest."""
    for node in nodes:
        for row in node["status"].get("policies") or ():
            wanted = newest.get(_key(row), row["generation"])
            if row["generation"] != wanted:
                yield f"{node['metadata']['name']}: {title(row)}: generation {wanted} is not in force yet"


def narrowed(node: Node, namespace: str, policies: Iterable[PolicyKey] | None = None) -> dict[str, Any]:
    """A NodeState with what concerns a namespace and the cluster; or these policies, where there are any given."""
    status = dict(node.get("status") or {})
    rows, failures = status.get("policies") or (), status.get("failures") or ()
    if policies is not None:
        keys = set(policies)
        names = set(map(str, keys))
        rows = [row for row in rows if _key(row) in keys]
        failures = [row for row in failures if row["object"] in names]
    elif namespace:
        rows = [row for row in rows if row.get("namespace", "") in ("", namespace)]
        failures = [row for row in failures if _namespace(row["object"]) in ("", namespace)]
    status |= {"policies": list(rows), "failures": list(failures)}
    return {"apiVersion": API_VERSION, "kind": "NodeState", "metadata": node["metadata"], "status": status}


def _namespace(name: str) -> str:
    """Of what a failure is about: `SecurityPolicy shop/web`, `shop/web-0/web`; empty for what is in none."""
    before, slash, _ = name.rpartition(" ")[2].partition("/")
    return before if slash else ""


def is_enforced(node: Node) -> bool:
    """Whether nothing is behind."""
    status = node["status"]
    behind = any(row["enforced"] < row["selected"] for row in status.get("policies") or ())
    untrue = any(each["status"] != "True" for each in status.get("conditions") or ())
    return ready(node) == "True" and not untrue and not behind and not status.get("failures")


def ready(node: Node) -> str:
    """The node's condition."""
    conditions = node["status"].get("conditions") or ()
    return next((str(each["status"]) for each in conditions if each["type"] == "Ready"), "Unknown")


def title(row: Mapping[str, Any]) -> str:
    """How a policy is named."""
    return f"{row.get('namespace', '')}/{row['name']}".lstrip("/")


def table(nodes: Iterable[Node], wide: bool = False) -> Iterator[str]:
    """The lines for people: a row a node and policy, then what is not enforced and why."""
    headings = (*HEADINGS, *WIDE) if wide else HEADINGS
    yield from columns([headings, *(row[: len(headings)] for node in nodes for row in _rows(node))])
    for node in nodes:
        for line in (*strictness(node), *complaints(node)):
            yield f"{node['metadata']['name']}: {line}"


def _rows(node: Node) -> Iterator[tuple[str, ...]]:
    name, state, status = node["metadata"]["name"], ready(node), node["status"]
    wide = (status.get("kernel", "-"), status.get("agentVersion", "-"))
    policies = status.get("policies") or ()
    for row in policies:
        share = f"{row['enforced']}/{row['selected']}"
        yield name, state, title(row), str(row["generation"]), share, row["since"], *wide
    if not policies:
        yield name, state, "-", "-", "-", "-", *wide


def strictness(node: Node) -> Iterator[str]:
    """Whether containers start strictly on the node, where a namespace asks for it and it is so."""
    for condition in node["status"].get("conditions") or ():
        if (condition["type"], condition["status"]) == ("StrictStarts", "True"):
            yield f"start: Strict since {condition['lastTransitionTime']}: {condition['message']}"


def complaints(node: Node) -> Iterator[str]:
    """What is not as it should be, and why."""
    for condition in node["status"].get("conditions") or ():
        if condition["status"] != "True":
            yield f"{condition['reason']}: {condition['message']}"
    for failure in node["status"].get("failures") or ():
        yield f"{failure['object']}: {failure['reason']} (since {failure['since']})"


def _key(row: Mapping[str, Any]) -> PolicyKey:
    return PolicyKey(row["kind"], row.get("namespace", ""), row["name"])
