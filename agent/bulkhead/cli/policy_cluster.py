"""Policies on a command line: of files, or of a cluster where options say so. All of them good, or none.

Next step: `policy.parse`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options
from bulkhead.errors import PolicyRefused, UsageError

if TYPE_CHECKING:
    from bulkhead.policy.parse import Parsed

NEITHER = "write FILE…, or -n NAMESPACE or -A for the policies of a cluster"


def add_arguments(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """FILE…, and the options that say which of a cluster's. Returns the group of the latter."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    group = cluster_options.add_cluster(parser)
    cluster_options.add_namespaces(group, "policies with these labels")
    return group


def read(arguments: argparse.Namespace) -> Parsed:
    """Every good document, and every problem. Raises `UsageError`, and `Unreachable` for a cluster."""
    from bulkhead.policy.parse import parse_files  # noqa: PLC0415  # the models are slow to build

    of_cluster = is_of_cluster(arguments)
    if arguments.files and of_cluster:
        raise UsageError("FILE and a cluster are two places for policies: give one of them; nothing was read")
    if not arguments.files and not of_cluster:
        raise UsageError(f"no policies: {NEITHER}; nothing was read")
    return _of_cluster(arguments) if of_cluster else parse_files(arguments.files)


def read_good(arguments: argparse.Namespace) -> Parsed:
    """The same. Raises `PolicyRefused` with everything that is wrong."""
    parsed = read(arguments)
    if parsed.problems:
        raise PolicyRefused(parsed.problems)
    return parsed


def is_of_cluster(arguments: argparse.Namespace) -> bool:
    """Whether any option is about a cluster."""
    options = (arguments.namespace, arguments.all_namespaces, arguments.selector)
    return any(options) or cluster_options.is_chosen(arguments)


def _of_cluster(arguments: argparse.Namespace) -> Parsed:
    """Of a namespace, and the cluster-wide ones."""
    from bulkhead.kube.objects import collection_path  # noqa: PLC0415
    from bulkhead.kube.policy_key import POLICY_KINDS, key_of  # noqa: PLC0415
    from bulkhead.policy.model import API_VERSION  # noqa: PLC0415
    from bulkhead.policy.parse import parse_object  # noqa: PLC0415

    scope = cluster_options.scope(arguments)
    api = cluster_options.connect_to(arguments)
    found = []
    for kind in POLICY_KINDS:
        for value in api.get(collection_path(kind, scope.namespace), scope.query).get("items") or ():
            document = {**value, "apiVersion": API_VERSION, "kind": kind}
            document.pop("status", None)
            found.append(parse_object(document, str(key_of(kind, value))))
    if not found:
        raise UsageError(f"there are no policies {scope}: -n names another namespace, -A looks in all")
    return _together(found)


def _together(found: Iterable[Parsed]) -> Parsed:
    from bulkhead.policy.parse import Parsed  # noqa: PLC0415

    each = tuple(found)
    return Parsed(
        tuple(policy for parsed in each for policy in parsed.policies),
        tuple(problem for parsed in each for problem in parsed.problems),
        tuple(place for parsed in each for place in parsed.places),
    )
