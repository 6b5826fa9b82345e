"""Where the kernel takes the processor from a task within it, another is judged as if that one were not there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.programs import compiled
from tests.kernel.enforcement.test_moves import shell_in

DEBUGFS = Path("/sys/kernel/debug")
MODE = DEBUGFS / "sched/preempt"  # none (voluntary) full
TRIES = 3000
LENIENT = policy("  files: {default: Allow}")


@contextmanager
def preemption(mode: str) -> Iterator[None]:
    """The kernel preempts tasks so, and afterwards as before. Linux 7 has `lazy` in the place of `voluntary`."""
    if not MODE.exists():
        subprocess.run(["mount", "-t", "debugfs", "debugfs", DEBUGFS], check=True)
    offered = MODE.read_text()
    before = offered.partition("(")[2].partition(")")[0]
    mode = mode if mode in offered else "lazy"
    MODE.write_text(mode)
    try:
        assert f"({mode})" in MODE.read_text()
        yield
    finally:
        MODE.write_text(before)


def strict(secret: Path) -> str:
    """A policy that forbids one file."""
    return policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{secret}"]}}]
""")


def interrupt(box: Box, free: Path, secret: Path) -> tuple[int, int]:
    """Tries of a secret by one who interrupts openings of something else, and how many succeeded."""
    done = box.run(str(compiled("interrupt")), str(free), str(secret), str(TRIES), timeout_s=300)
    assert done.status == 0, done
    tries, succeeded = map(int, done.out.split())
    return tries, succeeded


def test_who_interrupts_a_look_up_is_looked_up(bench: Bench, tmp_path: Path) -> None:
    """What is kept on cgroups is found while the kernel looks for it on the same processor: see compat.h."""
    if not bench.instance.bundle.parameters.bpf_lsm:
        return  # there it is refused where tasks are preempted: bulkhead.kernel.features
    free, secret = tmp_path / "free", tmp_path / "secret"
    for path in (free, secret):
        path.write_text("x")
    with preemption("full"):
        with bench.box(strict(secret)) as box:
            assert interrupt(box, free, secret) == (TRIES, 0)
        with bench.box(LENIENT) as box:
            assert interrupt(box, free, secret) == (TRIES, TRIES)


@pytest.mark.parametrize("mode", ["full", "voluntary"])
def test_who_left_its_container_interrupts(bench: Bench, elsewhere: Path, tmp_path: Path, mode: str) -> None:
    """The same of what is kept on tasks: a process that was moved out."""
    if not bench.instance.bundle.parameters.bpf_lsm:
        return
    free, secret = tmp_path / "free", tmp_path / "secret"
    for path in (free, secret):
        path.write_text("x")
    with preemption(mode), bench.box(strict(secret)) as box, shell_in(box.cgroup.path) as shell:
        shell.move(elsewhere)
        tries, succeeded = map(int, shell.ask(f"{compiled('interrupt')} {free} {secret} {TRIES}").split())
    assert (tries, succeeded) == (TRIES, 0)
