"""`python -m tools.cluster build|up|down|status|on-node`: a cluster on this machine, for a person.

Why here: the thin edge between a terminal and the bench. Next steps: `start.up`, `start.down`.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from types import FrameType

from tools.cluster import BIN, BenchError, binaries, start, supervisor
from tools.cluster.cluster import Cluster
from tools.cluster.node import Boot
from tools.cluster.progress import say

INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """The exit status of what `arguments` ask for."""
    signal.signal(signal.SIGTERM, _interrupt)
    options = _parser().parse_args(arguments)
    try:
        return _do(options)
    except BenchError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; what was started was ended", file=sys.stderr)
        return INTERRUPTED


def usage(cluster: Cluster) -> str:
    """How a person uses a cluster that is up."""
    names = "".join(f"  {name}\n" for name in cluster.images)
    return f"""\
The cluster is up, its node is {cluster.node}. In a shell:
  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}
  export PATH={shlex.quote(str(BIN))}:$PATH    # kubectl, helm
A command as root in the node:
  python -m tools.cluster on-node 'ls /sys/fs/bpf'
Images for pods (no others can be pulled):
{names}`make cluster-down` ends it.
"""


def _do(options: argparse.Namespace) -> int:
    match options.action:
        case "build":
            print(binaries.build())
        case "up":
            _up(Boot(options.kernel, options.lsm))
        case "down":
            print("the cluster was ended" if start.down() else "no cluster is up")
        case "status":
            return _status()
        case "on-node":
            answer = Cluster().tried_on_node(" ".join(options.command))
            print(answer.output, end="")
            return answer.status
    return 0


def _up(asked: Boot) -> None:
    cluster = start.found()
    if cluster is not None:
        say("one is up already, and it was left as it is")
    print(usage(cluster or start.up(asked)), end="")


def _status() -> int:
    if (cluster := start.found()) is not None:
        print(usage(cluster), end="")
        return 0
    print("no cluster is up" if supervisor.running_id() is None else "a cluster is starting or ending")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tools.cluster", description="a Kubernetes cluster on this machine")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("build", help="build its programs into the cache")
    up = actions.add_parser("up", help="start one that stays")
    up.add_argument("--kernel", default=start.DEFAULT.kernel, help="of the node (%(default)s)")
    up.add_argument("--lsm", default=start.DEFAULT.lsm, metavar="LIST", help="its lsm= (%(default)s)")
    actions.add_parser("down", help="end it")
    actions.add_parser("status", help="how to use the one that is up; status 1 where none is")
    on_node = actions.add_parser("on-node", help="run a command as root in the node")
    on_node.add_argument("command", nargs="+")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
