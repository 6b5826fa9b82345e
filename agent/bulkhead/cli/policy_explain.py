"""`bulkhead policy explain`: what a set of policies means, in words; `cli.policy_question` answers about one access."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options, policy_cluster, policy_pod, policy_question
from bulkhead.cli.cluster_options import EXIT_STATUS, completes
from bulkhead.cli.policy_words import described, sentence

if TYPE_CHECKING:
    from bulkhead.policy.merge import PolicySet
    from bulkhead.policy.model import Policy

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = f"""\
examples:
  %(prog)s examples/*.yaml
  %(prog)s examples/*.yaml --path /var/run/secrets/token --operation Read
  %(prog)s examples/*.yaml --address 10.9.0.1 --port 443
  %(prog)s examples/*.yaml --rule shop/secrets/files/secrets
  %(prog)s --pod web-0 --namespace shop --container web --path /etc/shadow
  %(prog)s -A --rule shop/secrets/files/secrets

exit status: 0 fine; 2 wrong use, a policy that is refused, or no such rule or pod;
{EXIT_STATUS}
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "explain",
        help="what policies mean, and what decides one access",
        description="Says in words what policies mean together, or which rule decides one access and why. All of the "
        "files, or of the namespace and the cluster, are taken to select the container; with --pod those that do.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cluster_options.add_output(parser, ("text", "json"), "json: one object a line")
    group = policy_cluster.add_arguments(parser)
    pod = group.add_argument("--pod", metavar="NAME", default="", help="only policies that select this pod")
    completes(pod, "Pod")
    group.add_argument("-c", "--container", metavar="NAME", default="", help="of the pod, where it has several")
    policy_question.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    from bulkhead.policy.explain import places  # noqa: PLC0415
    from bulkhead.policy.merge import merge  # noqa: PLC0415
    from bulkhead.policy.resolve import resolve  # noqa: PLC0415

    parsed = policy_cluster.read_good(arguments) if not arguments.pod else policy_pod.read(arguments)
    policies = [resolve(policy) for policy in parsed.policies]
    if policy_question.is_asked(arguments):
        return policy_question.answer(arguments, policies, places(parsed))
    policy_set = merge(policies)
    if arguments.output == "json":
        print(*as_json(policy_set, places(parsed)), sep="\n")
    else:
        print(*explain(policy_set), *about_hosts(parsed.policies), sep="\n")
    return 0


def about_hosts(policies: Iterable[Policy]) -> Iterator[str]:
    """A line a policy that is about no container."""
    from bulkhead.policy.model import ClusterSecurityPolicy  # noqa: PLC0415

    for policy in policies:
        if isinstance(policy, ClusterSecurityPolicy) and (host := policy.spec.host_processes):
            where = ", ".join(host.cgroups) or "all cgroups but those of containers"
            yield f"{policy.name} holds for processes of nodes in {where}, and for no container."


def explain(policy_set: PolicySet) -> Iterator[str]:
    """One line a rule, in the order of the rules' numbers, and how they are weighed."""
    yield "An explicit Kill or Deny wins; else an explicit Allow; else the strictest default; else it is allowed."
    for number, statement in enumerate(policy_set.statements, start=1):
        yield f"{number:4}. {sentence(statement)}"


def as_json(policy_set: PolicySet, places: Mapping[str, str]) -> Iterator[str]:
    """One object a rule."""
    for number, statement in enumerate(policy_set.statements, start=1):
        yield json.dumps({"number": number, **described(statement, places)})
