"""`bulkhead controller`: keeps the status of policies true. Next step: `bulkhead.controller.main`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
example:
  bulkhead controller --namespace bulkhead-system --monitoring 0.0.0.0:7444

Any number may run: one is elected, the others wait. Nothing that is enforced depends on them.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "controller",
        help="sum up in the status of policies what the agents say",
        description="Keeps the status of every policy true, by what the agents say of their nodes.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--namespace", "-n", default="bulkhead-system", help="of lease and agents (%(default)s)")
    parser.add_argument("--lease", default="bulkhead-controller", metavar="NAME", help="(%(default)s)")
    parser.add_argument("--name", default=os.uname().nodename, help="of this one among its replicas (%(default)s)")
    parser.add_argument(
        "--agents", default="app.kubernetes.io/component=agent", metavar="SELECTOR", help="of their pods (%(default)s)"
    )
    parser.add_argument("--monitoring", default="", metavar="ADDRESS", help="host:port to tell health and metrics at")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server from outside")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs until it is told to stop."""
    from bulkhead.controller.main import Controller, ControllerSettings  # noqa: PLC0415
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.lease import LeaseName  # noqa: PLC0415
    from bulkhead.log import configure  # noqa: PLC0415

    configure()
    lease = LeaseName(arguments.namespace, arguments.lease, arguments.name)
    settings = ControllerSettings(lease, arguments.agents, arguments.monitoring)
    Controller(connect(arguments.kubeconfig), settings).run()
    return 0
