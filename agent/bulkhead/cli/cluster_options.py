"""Options of every command that asks a cluster, as kubectl has them: which cluster, namespaces, labels, form of output.

What may be completed on the way is noted on each option (`completes`). Next step: `kube.kubeconfig` for what is chosen;
`cli.complete` completes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.kube.client import Api
    from bulkhead.kube.kubeconfig import Choice

LISTED = ("table", "wide", "json", "yaml", "name")
EXIT_STATUS = "3 the API server cannot be reached, or does not permit it"


@dataclass(frozen=True)
class Scope:
    """Which objects: of one namespace, or of all where it is empty, with labels that `selector` selects."""

    namespace: str = ""
    selector: str = ""

    @property
    def query(self) -> dict[str, str]:
        """For a list."""
        return {"labelSelector": self.selector} if self.selector else {}

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in any namespace"
        return f"{where} with labels {self.selector}" if self.selector else where


def completes(action: argparse.Action, what: str) -> argparse.Action:
    """`what`: kind of an object (`Pod`), or `contexts`, `clusters`, `users` of the kubeconfig."""
    vars(action)["completes"] = what
    return action


def completed_by(action: argparse.Action) -> str:
    """What `completes` noted; empty where nothing was."""
    return str(vars(action).get("completes", ""))


def add_cluster(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Which cluster, as whom. Returns the group, for more options of the same kind."""
    group = parser.add_argument_group("which cluster")
    group.add_argument("--kubeconfig", type=Path, metavar="FILE", help="of the cluster (KUBECONFIG, ~/.kube/config)")
    for name in ("context", "cluster", "user"):
        told = "of the kubeconfig, not the current one" if name == "context" else "of the kubeconfig, not the context's"
        completes(group.add_argument(f"--{name}", metavar="NAME", default="", help=told), f"{name}s")
    return group


def add_namespaces(group: argparse._ArgumentGroup, selector: str) -> None:
    """Which namespaces, and labels: `selector` says whose."""
    named = group.add_argument(
        "-n", "--namespace", metavar="NAME", default="", help="this one, not the one of the context"
    )
    completes(named, "Namespace")
    group.add_argument("-A", "--all-namespaces", action="store_true", help="all of them; goes before -n")
    if selector:
        add_selector(group, selector)


def add_selector(group: argparse._ArgumentGroup, whose: str) -> None:
    """Labels."""
    group.add_argument("-l", "--selector", metavar="LABELS", default="", help=f"{whose}: 'app=web,tier in (a,b),!old'")


def add_output(parser: argparse.ArgumentParser, formats: tuple[str, ...] = LISTED, told: str = "") -> None:
    """The form of what is printed; the first is the default."""
    text = told or "%(default)s, or for programs"
    parser.add_argument("-o", "--output", choices=formats, default=formats[0], help=text)


def choice(arguments: argparse.Namespace) -> Choice:
    """Which cluster was chosen."""
    from bulkhead.kube.kubeconfig import Choice  # noqa: PLC0415  # the Kubernetes client takes its time

    return Choice(arguments.kubeconfig, arguments.context, arguments.cluster, arguments.user)


def is_chosen(arguments: argparse.Namespace) -> bool:
    """Whether any option chooses a cluster."""
    return any((arguments.kubeconfig, arguments.context, arguments.cluster, arguments.user))


def connect_to(arguments: argparse.Namespace) -> Api:
    """The cluster. Raises `UsageError`."""
    from bulkhead.kube.client import connect  # noqa: PLC0415

    return connect(choice(arguments))


def scope(arguments: argparse.Namespace) -> Scope:
    """Which namespaces and labels. Raises `UsageError`."""
    from bulkhead.kube.config import current_namespace  # noqa: PLC0415

    selector = getattr(arguments, "selector", "")
    if arguments.all_namespaces:
        return Scope("", selector)
    return Scope(arguments.namespace or current_namespace(choice(arguments)), selector)


def in_namespace(name: str, namespace: str, what: str) -> tuple[str, str]:
    """Namespace and name of NAMESPACE/NAME, or of NAME in `namespace`. Raises `UsageError` where that is empty."""
    before, slash, last = name.rpartition("/")
    if not (slash or namespace):
        raise UsageError(f"{what} {name} is of one namespace: write NAMESPACE/{name}, or -n for -A")
    return before if slash else namespace, last
