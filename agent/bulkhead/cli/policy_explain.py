"""`bulkhead policy explain`: what a set of policies means, in words; `cli.policy_question` answers about one access."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.cli import policy_question
from bulkhead.cli.policy_words import described, sentence

if TYPE_CHECKING:
    from bulkhead.policy.merge import PolicySet

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
examples:
  bulkhead policy explain examples/*.yaml
  bulkhead policy explain examples/*.yaml --path /var/run/secrets/token --operation Read
  bulkhead policy explain examples/*.yaml --address 10.9.0.1 --port 443
  bulkhead policy explain examples/*.yaml --rule shop/secrets/files/secrets
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "explain",
        help="what policies mean, and what decides one access",
        description="Says in words what the policies mean together, or which rule decides one access and why. All "
        "policies of the files are taken to select the container.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    policy_question.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the words."""
    from bulkhead.cli.policy_files import read  # noqa: PLC0415
    from bulkhead.policy.explain import places  # noqa: PLC0415
    from bulkhead.policy.merge import merge  # noqa: PLC0415
    from bulkhead.policy.resolve import resolve  # noqa: PLC0415

    parsed = read(arguments.files)
    policies = [resolve(policy) for policy in parsed.policies]
    if policy_question.is_asked(arguments):
        return policy_question.answer(arguments, policies, places(parsed))
    policy_set = merge(policies)
    for line in as_json(policy_set, places(parsed)) if arguments.output == "json" else explain(policy_set):
        print(line)
    return 0


def explain(policy_set: PolicySet) -> Iterator[str]:
    """One line a rule, in the order of the rules' numbers, and how they are weighed."""
    yield "An explicit Kill or Deny wins; else an explicit Allow; else the strictest default; else it is allowed."
    for number, statement in enumerate(policy_set.statements, start=1):
        yield f"{number:4}. {sentence(statement)}"


def as_json(policy_set: PolicySet, places: Mapping[str, str]) -> Iterator[str]:
    """One object a rule."""
    for number, statement in enumerate(policy_set.statements, start=1):
        yield json.dumps({"number": number, **described(statement, places)})
