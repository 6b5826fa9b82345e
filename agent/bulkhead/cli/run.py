"""`bulkhead run`: a command under policies, the way to try one without Kubernetes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.errors import PolicyRefused, UsageError

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
example:
  bulkhead run --policy examples/secrets.yaml --events out.jsonl -- sh -c 'cat /var/run/secrets/token'

COMMAND runs in a cgroup of its own, with its children, under every document given, from its first instruction.
Selectors are not consulted unless --label is given. The exit status is COMMAND's, 128+N for signal N; 1 where the
kernel cannot enforce, 2 where a policy is refused: then COMMAND was not started. What COMMAND leaves running is killed.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "run",
        help="run a command under policies, on this machine",
        description="Runs a command under policies.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--policy", dest="policies", action="append", nargs="+", type=Path, required=True, metavar="FILE",
        help="policy documents; may be repeated",
    )  # fmt: skip
    parser.add_argument("--events", type=Path, metavar="OUT.jsonl", help="write one violation a line to this file")
    parser.add_argument(
        "--label", dest="labels", action="append", default=[], metavar="K=V", help="consult selectors, with this label"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run it; returns COMMAND's exit status."""
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise UsageError("no command was given to run: write it after `--`; nothing was started")
    from bulkhead.agent.desired import Labels, load_policies  # noqa: PLC0415
    from bulkhead.agent.trial import Trial, run_trial  # noqa: PLC0415
    from bulkhead.log import configure  # noqa: PLC0415

    configure("warning")
    labels = Labels(parse_labels(arguments.labels) if arguments.labels else None)
    rules, problems = load_policies([path for group in arguments.policies for path in group], labels)
    if problems:
        print("bulkhead: policies are refused; the command was not started", file=sys.stderr)
        raise PolicyRefused(problems)
    return run_trial(Trial(command, rules, arguments.events))


def parse_labels(words: list[str]) -> dict[str, str]:
    """Labels from K=V words. Raises `UsageError`."""
    pairs = [word.partition("=") for word in words]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise UsageError(f"--label {key}: write it as KEY=VALUE; nothing was started")
    return {key: value for key, _, value in pairs}
