"""`python -m tools.vm`: kernels fetched, a command or the kernel tests run in a virtual machine.

Why here: the thin edge between a terminal or a CI job and the bench. Next steps: `kernels.fetched`, `boot.run`.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from tools.vm import BenchError, boot, kernels, qemu

INTERRUPTED = 130
TESTS = "tests/kernel"


def parser() -> argparse.ArgumentParser:
    """What the command line offers."""
    top = argparse.ArgumentParser(prog="python -m tools.vm", description="Virtual machines for tests and measurements.")
    actions = top.add_subparsers(dest="action", required=True)
    fetch = actions.add_parser("kernels", help="fetch kernels into the cache")
    fetch.add_argument("names", nargs="*", metavar="KERNEL", help=f"of {', '.join(kernels.SUITES)}; all by default")
    one = actions.add_parser("run", help="run a command in a virtual machine", usage="%(prog)s [options] -- COMMAND…")
    _add_machine(one)
    tests = actions.add_parser("test", help="run the kernel tests in a virtual machine", usage="%(prog)s [options] [pytest's arguments]")
    _add_machine(tests)
    return top


def _add_machine(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kernel", required=True, metavar="KERNEL", help=f"one of {', '.join(kernels.SUITES)}")
    command.add_argument("--cpus", type=int, default=2, help="virtual processors (%(default)s)")
    command.add_argument("--memory", default="4G", help="in QEMU's notation (%(default)s)")
    command.add_argument("--lsm", default=qemu.DEFAULT_LSM, metavar="LIST", help="the kernel's lsm= (%(default)s)")
    command.add_argument("--icount", action="store_true", help="one processor whose clock counts instructions")
    command.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="(%(default)g)")
    command.add_argument("--results", type=Path, metavar="FOLDER", help="the guest may write to it")


def main(arguments: list[str]) -> int:
    """The exit status of what was asked for on the command line."""
    signal.signal(signal.SIGTERM, _interrupt)
    options, rest = parser().parse_known_args(arguments)
    try:
        if options.action == "kernels":
            for name in [*options.names, *rest] or kernels.SUITES:
                kernels.fetched(name)
            return 0
        return boot.run(
            _command(options.action, rest),
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
        print("vm: interrupted, the guest was ended", file=sys.stderr)
        return INTERRUPTED


def _command(action: str, rest: list[str]) -> list[str]:
    words = rest[1:] if rest[:1] == ["--"] else rest
    if action == "test":
        return ["python", "-m", "pytest", "-p", "no:cacheprovider", *(words or []), *_unless_chosen(words)]
    if not words:
        raise BenchError("no command to run: give it after --")
    return words


def _unless_chosen(words: list[str]) -> list[str]:
    """The tests' folder, unless the arguments say which tests."""
    return [] if any(word.startswith(TESTS) for word in words) else [TESTS]


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
