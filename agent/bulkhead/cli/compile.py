"""`bulkhead compile`: programs for another kernel, made where bcc is, loaded where it is not."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLE = "example: bulkhead compile --btf /sys/kernel/btf/vmlinux --out this-kernel.bundle"


def add_parser(subparsers: Subparsers) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "compile",
        help="compile the programs for another kernel",
        description="Compiles the kernel programs against a kernel's BTF. Put the bundle into a folder named by "
        "BULKHEAD_BUNDLES under the name that is printed, and an agent on that kernel loads it without compiling.",
        epilog=EXAMPLE,
    )
    parser.add_argument("--btf", type=Path, required=True, metavar="FILE", help="the kernel's BTF")
    parser.add_argument("--out", type=Path, required=True, metavar="BUNDLE", help="where to write")
    parser.add_argument(
        "--without-lsm",
        action="store_true",
        help="for a node that is booted without bpf in lsm=: programs on functions",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compile and write; prints the name under which caches look for the bundle."""
    from bulkhead.kernel.bundle import bundle_key  # noqa: PLC0415
    from bulkhead.kernel.compiler import compile_bundle  # noqa: PLC0415

    bpf_lsm = not arguments.without_lsm
    compile_bundle(arguments.btf, arguments.out, bpf_lsm)
    print(f"{bundle_key(arguments.btf, bpf_lsm)}.bundle")
    return 0
