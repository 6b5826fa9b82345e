"""`python -m tools.vm`: kernels fetched, a command or the kernel tests run in a virtual machine.

Why here: the thin edge between a terminal or a CI job and the bench. Next steps: `kernels.fetched`, `boot.run`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tools.vm import BenchError, boot, kernels, qemu, suite

INTERRUPTED = 130
EXAMPLES = """\
examples:
  python -m tools.vm kernels 6.1 6.12
  python -m tools.vm run --kernel 6.1 -- uname -r
  python -m tools.vm run --kernel 6.12 --lsm landlock,lockdown -- bulkhead doctor
  python -m tools.vm test --kernel newest -k exec
"""


def main(arguments: list[str]) -> int:
    """The exit status of what `arguments` ask for."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options, command = parse(arguments)
        if options.action == "kernels":
            for name in options.names or kernels.SUITES:
                print(f"{name}: Linux {kernels.fetched(name).release}")
            return 0
        if options.action == "test":
            suite.prepare()
        return boot.run(
            command,
            options.kernel,
            cpus=options.cpus,
            memory=options.memory,
            lsm=options.lsm,
            icount=options.icount,
            timeout_s=options.timeout,
            results=options.results,
        )
    except BenchError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("vm: interrupted; the guest was ended", file=sys.stderr)
        return INTERRUPTED


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Our options, and the command for the guest: what follows `--`, or pytest with what is not ours."""
    parser = _parser()
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, others = parser.parse_known_args(arguments[:end])
    command = arguments[end + 1 :]
    if options.action == "test":
        return options, suite.command([*others, *command])
    if others:
        parser.error(f"unknown: {' '.join(others)}; what is run in the guest comes after --")
    if options.action == "run" and not command:
        parser.error("no command to run: it comes after --")
    return options, command


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tools.vm", epilog=EXAMPLES, formatter_class=layout)
    actions = parser.add_subparsers(dest="action", required=True)
    fetch = actions.add_parser("kernels", help="fetch kernels into the cache")
    fetch.add_argument("names", nargs="*", metavar="KERNEL", help=f"of {', '.join(kernels.SUITES)}; all when none")
    for name, text in (("run", "run a command in a VM"), ("test", "run the kernel tests in a VM")):
        one = actions.add_parser(name, help=text, allow_abbrev=False)
        one.add_argument("--kernel", required=True, metavar="KERNEL", help=f"one of {', '.join(kernels.SUITES)}")
        one.add_argument("--cpus", type=int, default=2, help="virtual processors (%(default)s)")
        one.add_argument("--memory", default="4G", help="in QEMU's notation (%(default)s)")
        one.add_argument("--lsm", default=qemu.DEFAULT_LSM, metavar="LIST", help="the kernel's lsm= (%(default)s)")
        one.add_argument("--icount", action="store_true", help="one processor, whose clock counts instructions")
        one.add_argument("--timeout", type=float, default=3000.0, metavar="SECONDS", help="(%(default)g)")
        one.add_argument("--results", type=Path, metavar="FOLDER", help="the guest may write to it")
    return parser


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
