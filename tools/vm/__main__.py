"""The command line of the VM bench: `python -m tools.vm kernels|run|test`."""

from __future__ import annotations

import argparse
import sys

from tools.vm import BenchError, kernels, suite
from tools.vm.boot import run
from tools.vm.qemu import DEFAULT_LSM, Machine

EXAMPLE = """\
examples:
  python -m tools.vm run --kernel 6.1 -- uname -r
  python -m tools.vm run --kernel 6.12 --lsm landlock,lockdown -- bulkhead doctor
  python -m tools.vm test --kernel 6.12 -k exec
"""


def main() -> int:
    """Run a command line; returns its exit status."""
    parser = _parser()
    arguments, rest = parser.parse_known_args()
    try:
        if arguments.verb == "kernels":
            for name in arguments.names or kernels.SUITES:
                print(f"{name}: {kernels.fetched(name).release}")
            return 0
        machine = Machine(cpus=arguments.cpus, memory=arguments.memory, lsm=arguments.lsm, icount=arguments.icount)
        if arguments.verb == "test":
            return suite.test(arguments.kernel, rest, machine)
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        if not command:
            parser.error("no command was given to run: write it after `--`")
        return run(command, arguments.kernel, machine, timeout_s=arguments.timeout)
    except BenchError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.vm", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    fetch = verbs.add_parser("kernels", help="fetch kernels into the cache")
    fetch.add_argument("names", nargs="*", choices=[[], *kernels.SUITES], metavar="KERNEL")
    for name, text in (("run", "run a command in a VM"), ("test", "run the kernel tests in a VM")):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--kernel", default="6.12", choices=kernels.SUITES)
        verb.add_argument("--cpus", type=int, default=2)
        verb.add_argument("--memory", default="4G")
        verb.add_argument("--lsm", default=DEFAULT_LSM, help="the active LSMs, in order")
        verb.add_argument("--icount", action="store_true", help="one CPU, whose clock counts instructions")
        if name == "run":
            verb.add_argument("--timeout", type=float, metavar="SECONDS")
            verb.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


if __name__ == "__main__":
    sys.exit(main())
