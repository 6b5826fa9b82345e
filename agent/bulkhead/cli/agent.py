"""`bulkhead agent`: the node agent."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.agent.cluster.certificate import AgentCertificate
    from bulkhead.agent.source import Input
    from bulkhead.report.channel import TlsFiles
    from bulkhead.settings import Paths

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = """\
examples:
  bulkhead agent --node "$NODE_NAME" --collector bulkhead-collector.bulkhead-system.svc:7443 --tls-ca ca.pem
  bulkhead agent --policies /etc/bulkhead/policies --cgroup '/sys/fs/cgroup/demo/*' --collector 127.0.0.1:7443

Policies and pods come from the API server: the one of the pod that the agent runs in, or of the kubeconfig. With
--policies and --cgroup there is none: every cgroup that matches, with all below it, is put under every policy of the
folder (selectors are not consulted unless --label is given). Changes are followed. Ended or killed, the agent leaves
what it enforces in the kernel, and the next one takes over; with --remove it takes all of it out instead.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "agent",
        help="the node agent",
        description="Enforces policies on containers of this node.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--policies", type=Path, metavar="DIR", help="folder of policy documents, instead of a cluster")
    parser.add_argument("--cgroup", metavar="GLOB", help="cgroups to put under them")
    parser.add_argument("--label", dest="labels", action="append", default=[], metavar="K=V")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="how to reach the API server from outside")
    parser.add_argument(
        "--pod-uid", default="", metavar="UID", help="of the agent's own pod, which no policy holds for"
    )
    parser.add_argument(
        "--nri", type=Path, metavar="SOCKET", help="of the container runtime, which asks before a container starts"
    )
    parser.add_argument(
        "--start-failure-policy",
        choices=("Fail", "Ignore"),
        default="Fail",
        help="whether a container starts whose policies cannot be put into force (%(default)s: it does not)",
    )
    parser.add_argument(
        "--start-lapse",
        type=float,
        default=600.0,
        metavar="S",
        help="seconds after an agent's last sign in which strict starts hold (%(default)g); 0: they hold for ever",
    )
    parser.add_argument("--ready-file", type=Path, metavar="FILE", help="made when everything asked for is enforced")
    parser.add_argument("--monitoring", default="", metavar="ADDRESS", help="host:port to tell health and metrics at")
    parser.add_argument("--remove", action="store_true", help="take all of Bulkhead out of this kernel, then wait")
    parser.add_argument("--node", default=os.uname().nodename, metavar="NAME", help="this node's name (%(default)s)")
    parser.add_argument("--collector", default="", metavar="ADDRESS", help="host:port to deliver violations to")
    parser.add_argument("--state", type=Path, default=Path("/var/lib/bulkhead"), metavar="DIR")
    parser.add_argument("--pins", type=Path, default=Path("/sys/fs/bpf/bulkhead"), metavar="DIR", help="on a bpffs")
    parser.add_argument("--tls-ca", metavar="FILE", type=Path, help="authority of the collector's certificate, PEM")
    parser.add_argument("--tls-cert", metavar="FILE", type=Path, help="one's own certificate, PEM")
    parser.add_argument("--tls-key", metavar="FILE", type=Path, help="its key, PEM")
    parser.add_argument(
        "--certificates", default="", metavar="NAMESPACE/NAME",
        help="get one's certificate from the controller of that release instead",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    if bool(arguments.policies) != bool(arguments.cgroup):
        raise UsageError("--policies and --cgroup go together; what is enforced already goes on")
    if arguments.policies and not arguments.policies.is_dir():
        raise UsageError(f"--policies {arguments.policies}: not a folder; what is enforced already goes on")
    from bulkhead.agent.main import AgentSettings, run_agent  # noqa: PLC0415
    from bulkhead.log import configure  # noqa: PLC0415
    from bulkhead.settings import Paths  # noqa: PLC0415

    configure()
    paths = Paths(state=arguments.state, pins=arguments.pins)
    if arguments.ready_file:
        arguments.ready_file.unlink(missing_ok=True)
    if arguments.remove:
        from bulkhead.agent.removal import remove_and_wait  # noqa: PLC0415

        remove_and_wait(paths, arguments.ready_file, arguments.monitoring)
        return 0
    certificate = _certificate(arguments, paths)
    settings = AgentSettings(
        node=arguments.node,
        collector=arguments.collector,
        tls=certificate or _tls(arguments),
        paths=paths,
        ready=arguments.ready_file,
        monitoring=arguments.monitoring,
    )
    asked = _standalone(arguments, paths) if arguments.policies else _cluster(arguments, paths, certificate)
    run_agent(settings, asked)
    return 0


def _standalone(arguments: argparse.Namespace, paths: Paths) -> Input:
    from bulkhead.agent.desired import Labels, PolicyFolder  # noqa: PLC0415
    from bulkhead.agent.standalone import StandaloneInput  # noqa: PLC0415
    from bulkhead.cli.run import parse_labels  # noqa: PLC0415

    labels = Labels(parse_labels(arguments.labels) if arguments.labels else None)
    return StandaloneInput(PolicyFolder(arguments.policies, labels, paths.state / "policies"), arguments.cgroup)


def _cluster(arguments: argparse.Namespace, paths: Paths, certificate: AgentCertificate | None) -> Input:
    from bulkhead.agent.cluster.input import ClusterInput, ClusterSettings  # noqa: PLC0415
    from bulkhead.agent.cluster.starting import FailurePolicy  # noqa: PLC0415
    from bulkhead.agent.cluster.statement import NodeFacts  # noqa: PLC0415
    from bulkhead.agent.main import node_identity  # noqa: PLC0415
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.kubeconfig import Choice  # noqa: PLC0415

    facts = NodeFacts(arguments.node, os.uname().release, node_identity(arguments.node).boot_id)
    settings = ClusterSettings(
        state=paths.state,
        own_uid=arguments.pod_uid,
        nri=arguments.nri,
        start_failure_policy=FailurePolicy(arguments.start_failure_policy),
        start_lapse_s=arguments.start_lapse,
    )
    return ClusterInput(connect(Choice(arguments.kubeconfig)), facts, settings, certificate)


def _certificate(arguments: argparse.Namespace, paths: Paths) -> AgentCertificate | None:
    """What the controller issues; None where it is not asked. Raises UsageError."""
    if not arguments.certificates:
        return None
    if arguments.policies or arguments.tls_ca or arguments.tls_cert or arguments.tls_key:
        raise UsageError("--certificates goes neither with files of one's own nor with --policies: give one of them")
    from bulkhead.agent.cluster.certificate import AgentCertificate  # noqa: PLC0415
    from bulkhead.certificates.names import names_of  # noqa: PLC0415
    from bulkhead.kube.client import connect  # noqa: PLC0415
    from bulkhead.kube.kubeconfig import Choice  # noqa: PLC0415

    names = names_of(arguments.certificates)
    return AgentCertificate(
        connect(Choice(arguments.kubeconfig)), names, arguments.node, paths.state / "certificate.json"
    )


def _tls(arguments: argparse.Namespace) -> TlsFiles | None:
    from bulkhead.report.channel import TlsFiles  # noqa: PLC0415

    if not (arguments.tls_ca or arguments.tls_cert or arguments.tls_key):
        return None
    return TlsFiles(arguments.tls_ca, arguments.tls_cert, arguments.tls_key)
