"""The situations in which acts are measured: nothing loaded, empty programs, ours, AppArmor. Each is a context.

Why here: what is compared must say the same. A situation forbids what no act does, so that every act is allowed. Next
step: `instructions` measures in them.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bulkhead.errors import KernelUnable
from bulkhead.kernel import libbpf
from bulkhead.kernel.bpf_syscall import RETURN_0
from bulkhead.kernel.plan import LSM_PREFIX, PROGRAMS, Kind, Program
from tests.kernel.enforcement.box import policy

FUNCTION_KIND = 12  # BTF_KIND_FUNC
PROFILE = "bulkhead-bench"
COVERED = "/tmp/bench/covered-{}/**"  # the files of the acts lie beside it


@contextmanager
def empty_programs(hooks: list[str]) -> Iterator[None]:
    """A program that returns 0 at once, on each of these LSM hooks: the least that any LSM program costs."""
    with ExitStack() as ends:
        for hook in hooks:
            types = (*Kind.LSM.value, libbpf.kernel_type(LSM_PREFIX + hook, FUNCTION_KIND))
            program = libbpf.load_program("empty", RETURN_0, types, (0, b""))
            ends.callback(os.close, program)
            ends.callback(os.close, libbpf.attach_to_kernel("empty", program))
        yield


def our_hooks() -> list[str]:
    """The LSM hooks that our programs are on."""
    return list(dict.fromkeys(each.hook for each in PROGRAMS if each.kind is Kind.LSM and _is_there(each)))


def _is_there(program: Program) -> bool:
    """Whether the kernel has the hook of a program that is left out where it has not."""
    if not program.optional:
        return True
    try:
        libbpf.kernel_type(LSM_PREFIX + program.hook, FUNCTION_KIND)
    except KernelUnable:
        return False
    return True


def our_policy(files: int) -> str:
    """A policy with so many rules about files, and one about each other kind of access."""
    rules = "".join(
        f"    - {{name: r{number}, action: Deny, operations: [Read, Write, Create],"
        f' paths: ["{COVERED.format(number)}"]}}\n'
        for number in range(files)
    )
    return policy(f"""  files:
    rules:
{rules}
  exec:
    rules: [{{name: x, action: Deny, paths: [/tmp/bench/covered-0/**]}}]
  capabilities:
    rules: [{{name: c, action: Deny, names: [CHOWN]}}]
  network:
    egress:
      rules: [{{name: n, action: Deny, to: [{{cidr: 127.0.0.1/32}}], ports: [{{protocol: TCP, port: 9}}]}}]
""")


def apparmor_profile(files: int) -> str:
    """The same as an AppArmor profile. Addresses and ports it cannot name: it allows TCP and nothing else."""
    rules = "".join(f"  deny {COVERED.format(number)} rwl,\n" for number in range(files))
    return f"""profile {PROFILE} flags=(attach_disconnected) {{
  / r,
  /** rwlkmix,
  capability,
  deny capability chown,
  network inet stream,
{rules}}}
"""


@contextmanager
def apparmor(files: int) -> Iterator[None]:
    """The profile loaded. Nobody is confined by it who does not ask for it."""
    text = apparmor_profile(files).encode()
    parser = ["apparmor_parser", "--skip-cache"]
    subprocess.run([*parser, "--replace"], input=text, check=True, timeout=120)
    try:
        yield
    finally:
        subprocess.run([*parser, "--remove"], input=text, check=True, timeout=120)


def folders_in(root: Path) -> tuple[Path, Path]:
    """Where plain files are, and where deep directories."""
    return root / "plain", root / "deep"


def make_files(root: Path, plain: int, deep: int) -> tuple[Path, Path]:
    """A folder of `plain` files, and one of `deep` directories with a file four levels down; none was opened before.

    Each file is made without being opened (mknod), so that nothing knows it.
    """
    folders = folders_in(root)
    for folder in folders:
        folder.mkdir(parents=True)
    for number in range(plain):
        os.mknod(folders[0] / f"{number:08}", 0o100644)
    for number in range(deep):
        last = folders[1] / f"{number:08}/a/b/c"
        last.mkdir(parents=True)
        os.mknod(last / "f", 0o100644)
    return folders
