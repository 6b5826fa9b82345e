"""The situations in which acts are measured: nothing loaded, empty programs, ours, AppArmor. Each is a context.

Why here: what is compared must say the same. A situation forbids what no act does, so that every act is allowed. Next
step: `instructions` measures in them.
"""

from __future__ import annotations

import os
import stat
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
COVERED = "/tmp/bench/covered-{}/**"  # the files of the acts that are allowed lie beside it
REFUSED = Path("/tmp/bench/covered-0")  # those of the act that is not
OPERATIONS = "[Read, Write, Create, Delete, Rename, Link, Attributes]"
RULES_A_POLICY = 5_000  # a document may have a mebibyte
OTHER_RULES = """  exec:
    rules: [{name: x, action: Deny, paths: [/tmp/bench/covered-0/**]}]
  capabilities:
    rules: [{name: c, action: Deny, names: [CHOWN]}]
  network:
    egress:
      rules: [{name: n, action: Deny, to: [{cidr: 127.0.0.1/32}], ports: [{protocol: TCP, port: 9}]}]
"""
LONG = "-is-a-name-of-32-bytes.x"  # as in acts.c
LEVELS = "a/b/c/d/e/g/h/i/j"  # the same: with the number that is above them, ten


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


def our_policies(files: int) -> list[str]:
    """Policies with so many rules about files, the first with one about each other kind of access as well."""
    starts = range(0, files, RULES_A_POLICY)
    return [_policy(start, min(start + RULES_A_POLICY, files), OTHER_RULES if not start else "") for start in starts]


def _policy(first: int, end: int, others: str) -> str:
    rules = "".join(
        f'    - {{name: r{number}, action: Deny, operations: {OPERATIONS}, paths: ["{COVERED.format(number)}"]}}\n'
        for number in range(first, end)
    )
    return policy(f"  files:\n    rules:\n{rules}{others}", name=f"p{first}")


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


def make_files(root: Path, files: int, deep: int) -> None:
    """Folders "plain" and "long" of so many files, and "deep" of directories with a file ten levels down.

    Each file is made without being opened (mknod), so that nothing knows it.
    """
    for name, ending in (("plain", ""), ("long", LONG)):
        (root / name).mkdir(parents=True)
        for number in range(files):
            os.mknod(root / name / f"{number:08}{ending}", stat.S_IFREG | 0o644)
    for number in range(deep):
        last = root / "deep" / f"{number:08}" / LEVELS
        last.mkdir(parents=True)
        os.mknod(last / "f", stat.S_IFREG | 0o644)


def make_refused(files: int) -> None:
    """What policies forbid: sockets, since the kernel itself refuses to open those, right behind the hook."""
    REFUSED.mkdir(parents=True)
    for number in range(files):
        os.mknod(REFUSED / f"{number:08}", stat.S_IFSOCK | 0o644)
