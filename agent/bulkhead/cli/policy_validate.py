"""`bulkhead policy validate`: every problem with file, line, field and remedy."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from typing import TYPE_CHECKING

from bulkhead.cli import cluster_options, policy_cluster
from bulkhead.cli.cluster_options import EXIT_STATUS

if TYPE_CHECKING:
    from bulkhead.policy.model import Policy
    from bulkhead.policy.parse import Parsed

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = f"""\
examples:
  %(prog)s examples/*.yaml
  %(prog)s -A --context staging
  %(prog)s --namespace shop --selector team=web -o json

exit status: 0 all are good; 2 some are refused, or a file cannot be read;
{EXIT_STATUS}
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "validate",
        help="check policy documents",
        description="Checks policy documents of files, or of a cluster, as the agent and the API server would, and "
        "whether each fits in the kernel's maps. `-` reads standard input.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cluster_options.add_output(parser, ("text", "json"), "json: one object a line")
    policy_cluster.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each good policy and each problem."""
    parsed = _what_fits(policy_cluster.read(arguments))
    for line in _as_json(parsed) if arguments.output == "json" else _as_text(parsed):
        print(line)
    return 2 if parsed.problems else 0


def _what_fits(parsed: Parsed) -> Parsed:
    """Policies that are good and too large are problems as well."""
    from bulkhead.enforcement.admission import misfit  # noqa: PLC0415
    from bulkhead.policy.resolve import resolve  # noqa: PLC0415

    fitting, problems = [], list(parsed.problems)
    for policy, place in zip(parsed.policies, parsed.places, strict=True):
        problem = misfit(resolve(policy), (place.file, place.line_of(("spec",))), _title(policy))
        if problem:
            problems.append(problem)
        else:
            fitting.append((policy, place))
    return replace(
        parsed,
        policies=tuple(policy for policy, _ in fitting),
        places=tuple(place for _, place in fitting),
        problems=tuple(problems),
    )


def _title(policy: Policy) -> str:
    return f"{policy.namespace}/{policy.name}".lstrip("/")


def _as_text(parsed: Parsed) -> list[str]:
    good = [
        f"{place.file}{f':{place.line}' if place.line else ''}: ok {policy.kind} {_title(policy)}"
        for policy, place in zip(parsed.policies, parsed.places, strict=True)
    ]
    return good + [str(problem) for problem in parsed.problems]


def _as_json(parsed: Parsed) -> list[str]:
    good = [
        {"file": place.file, "line": place.line, "policy": _title(policy), "ok": True}
        for policy, place in zip(parsed.policies, parsed.places, strict=True)
    ]
    bad = [
        {
            "file": problem.file,
            "line": problem.line,
            "field": problem.field,
            "message": problem.message,
            "remedy": problem.remedy,
            "policy": problem.policy,
        }
        for problem in parsed.problems
    ]
    return [json.dumps(each) for each in [*good, *bad]]
