"""`bulkhead controller`: keeps the status of policies true, issues certificates. Next step: `controller.main`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulkhead.controller.certificates import CertificateSettings

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
example:
  bulkhead controller --namespace bulkhead-system --monitoring 0.0.0.0:7444

Any number may run: one is elected, the others wait. Nothing that is enforced depends on them.
"""
LONGEST_HOURS = 720  # a node that is taken over speaks for itself for so long after it was found out


def hours(text: str) -> int:
    """A number of hours."""
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_HOURS:
        raise argparse.ArgumentTypeError(f"{text!r}: write a number of hours from 1 to {LONGEST_HOURS}")
    return int(text)


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
    parser.add_argument(
        "--certificates", default="", metavar="NAMESPACE/NAME",
        help="issue certificates: the release's namespace, and the first part of its objects' names",
    )  # fmt: skip
    parser.add_argument(
        "--certificate-hours", type=hours, default=24, metavar="HOURS",
        help="for which an agent's certificate is valid (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--monitoring", default="", metavar="ADDRESS", help="host:port to tell health and metrics at")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server from outside")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs until it is told to stop."""
    from bulkhead.controller.main import Controller, ControllerSettings  # noqa: PLC0415
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.kubeconfig import Choice  # noqa: PLC0415
    from bulkhead.kube.lease import LeaseName  # noqa: PLC0415
    from bulkhead.log import configure  # noqa: PLC0415

    configure()
    lease = LeaseName(arguments.namespace, arguments.lease, arguments.name)
    settings = ControllerSettings(lease, arguments.agents, arguments.monitoring, certificates(arguments))
    Controller(connect(Choice(arguments.kubeconfig)), settings).run()
    return 0


def certificates(arguments: argparse.Namespace) -> CertificateSettings | None:
    """What is issued; None where nothing is. Raises UsageError."""
    if not arguments.certificates:
        return None
    from datetime import timedelta  # noqa: PLC0415

    from bulkhead.certificates.authority import Terms  # noqa: PLC0415
    from bulkhead.certificates.names import names_of  # noqa: PLC0415
    from bulkhead.controller.certificates import CertificateSettings  # noqa: PLC0415

    return CertificateSettings(
        names_of(arguments.certificates), Terms(agent=timedelta(hours=arguments.certificate_hours))
    )
