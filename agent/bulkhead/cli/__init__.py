"""`bulkhead`, also reachable as `kubectl bulkhead`: one module a command, imported only when it is asked for.

As kubectl's plugin it has the commands for people who use a cluster, and none of the programs that run in one.

A command module has `add_parser(subparsers)` and `run(arguments) -> int`. Errors of ours end a command with their
message, their remedy and exit status (docs/operations.md): 0 fine, 1 the answer is no, 2 wrong use or invalid input, 3
the other side cannot be reached.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence

from bulkhead import __version__
from bulkhead.errors import BulkheadError, ProgramRefused

# name -> (module, what it does)
COMMANDS = {
    "run": ("bulkhead.cli.run", "run a command under policies, on this machine"),
    "agent": ("bulkhead.cli.agent", "the node agent"),
    "collector": ("bulkhead.cli.collector", "the central service"),
    "controller": ("bulkhead.cli.controller", "keeps the status of policies true"),
    "events": ("bulkhead.cli.events", "show violations from a collector"),
    "status": ("bulkhead.cli.status", "which nodes enforce which policies, and why not"),
    "policy": ("bulkhead.cli.policy", "check, explain and render policies, offline"),
    "doctor": ("bulkhead.cli.doctor", "what this kernel, or nodes of a cluster, can enforce"),
    "compile": ("bulkhead.cli.compile", "compile the programs for another kernel"),
    "uninstall": ("bulkhead.cli.uninstall", "take all of Bulkhead out of every node's kernel"),
    "completion": ("bulkhead.cli.completion", "have a shell complete command lines"),
}
PLUGIN = ("status", "events", "policy", "doctor", "uninstall")
PLUGIN_PROGRAM, PLUGIN_NAME = "kubectl-bulkhead", "kubectl bulkhead"
COMPLETE = "__complete"  # for shells: `cli.complete`
EXAMPLE = "example: bulkhead run --policy examples/secrets.yaml -- sh -c 'cat /var/run/secrets/token'"
PLUGIN_EXAMPLE = "example: kubectl bulkhead status --namespace shop --selector app=web"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser_for = plugin_parser if os.path.basename(sys.argv[0]) == PLUGIN_PROGRAM else program_parser
    if words[:1] == [COMPLETE]:
        from bulkhead.cli.complete import show  # noqa: PLC0415

        return show(words[1:], parser_for)
    parser = parser_for(words[0] if words else "")
    arguments = parser.parse_args(words)
    if not hasattr(arguments, "run"):
        parser.print_help(sys.stderr)
        return 2
    try:
        return int(arguments.run(arguments))
    except BulkheadError as error:
        print(f"bulkhead: {error}", file=sys.stderr)
        if error.remedy:
            print(f"bulkhead: {error.remedy}", file=sys.stderr)
        if isinstance(error, ProgramRefused) and error.log:
            print(error.log[-4000:], file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing more to say
        return 0


def program_parser(command: str) -> argparse.ArgumentParser:
    """The parser with the one command that is asked for, or all of them by name."""
    return _parser("bulkhead", COMMANDS, EXAMPLE, command)


def plugin_parser(command: str) -> argparse.ArgumentParser:
    """The same as kubectl's plugin."""
    return _parser(PLUGIN_NAME, {name: COMMANDS[name] for name in PLUGIN}, PLUGIN_EXAMPLE, command)


def _parser(
    program: str, commands: Mapping[str, tuple[str, str]], example: str, command: str
) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Security policies for workloads, enforced in the kernel.",
        epilog=example,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"bulkhead {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", title="commands")
    for name, (module, text) in commands.items():
        if name == command:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=text)
    return parser
