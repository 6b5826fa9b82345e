"""`bulkhead policy`: validate, explain, render. Offline: no kernel, no cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bulkhead.cli import policy_explain, policy_render, policy_validate

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its own commands."""
    parser = subparsers.add_parser(
        "policy",
        help="check, explain and render policies, offline",
        description="Checks, explains and renders policies, offline.",
        epilog="example: bulkhead policy validate examples/*.yaml",
    )
    inner = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for module in (policy_validate, policy_explain, policy_render):
        module.add_parser(inner)
