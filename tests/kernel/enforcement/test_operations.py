"""`operations`: privileged operations of the kernel, each by every system call that comes to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.policy.operations import OPERATION_WORDS, PRIVILEGED
from tests.kernel.enforcement.box import Bench, Box, policy
from tests.kernel.enforcement.programs import compiled

WORDS = [OPERATION_WORDS[operation] for operation in PRIVILEGED]
MOUNTS = "mount bind remount fsopen fspick open_tree move_mount mount_setattr umount"

# What does it: an act of privileged.c and its argument. `{mount}` is a mount point with another mount of proc below it,
# `{new}` a name that is not there.
ACTS = {
    "Mount": ["pivot_root /", *(f"{act} {{mount}}" for act in MOUNTS.split())],
    "Ptrace": ["attach", "read_memory", "get_descriptor", "traceme"],
    "LoadModule": ["init_module", "finit_module", "kexec_load"],
    "Bpf": ["bpf"],
    "UserNamespace": ["unshare_user", "clone_user"],
    "PerfEvent": ["perf"],
    "IoUring": ["io_uring"],
    "Keyring": ["add_key", "join_keyring"],
    "SetTime": ["settime", "adjtime"],
    "Chroot": ["chroot"],
    "SetNamespace": ["setns"],
    "RawDevice": [
        "read /dev/mem",
        "write /dev/mem",
        "mknod_block {new}",
        "mknod_memory {new}",
        "mknod_flash {new}",
        "mknod_snapshot {new}",
        "read /proc/kcore",
        "read {mount}/proc/kcore",
    ],
    "ProcMem": [
        "read /proc/self/mem",
        "write /proc/self/mem",
        "read /proc/thread-self/mem",
        "read {mount}/proc/self/mem",
    ],
    "KernelSettings": [
        "write /proc/sys/kernel/core_pattern",
        "write /proc/sys/kernel/modprobe",
        "write /proc/sysrq-trigger",
        "write /sys/kernel/mm/ksm/run",
        "write {mount}/proc/sys/kernel/core_pattern",
    ],
}
# What must go on working while all of them are denied.
ORDINARY = [
    "unshare_mounts",
    "read_clock",
    "userfaultfd",
    "mknod_null {new}",
    "read /dev/null",
    "write /dev/null",
    "read /proc/self/maps",
    "read /proc/1/status",
    "write /proc/self/oom_score_adj",
    "write /proc/self/comm",
    "read /proc/sys/kernel/core_pattern",
    "read /sys/kernel/mm/ksm/run",
    "read /proc/self/ns/uts",
    "socketpair",
]


def rule(names: list[str], action: str = "Deny", mode: str = "Enforce") -> str:
    """One rule."""
    return policy(f"""
  mode: {mode}
  operations: {{rules: [{{name: r, action: {action}, names: [{", ".join(names)}]}}]}}
""")


@pytest.fixture(scope="module")
def program() -> Path:
    """The acts."""
    return compiled("privileged")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Path]:
    """A mount point of the guest's."""
    made = tmp_path / "mount"
    made.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", made], check=True)
    (made / "proc").mkdir()
    subprocess.run(["mount", "-t", "proc", "none", made / "proc"], check=True)
    yield made
    while subprocess.run(["umount", "-l", "-q", made], check=False).returncode == 0:
        pass  # what the acts have mounted over it


def words(act: str, mount: Path) -> list[str]:
    """The arguments of an act; a new name is in a directory of its own."""
    return act.format(mount=mount, new=mount / f"new-{act.split(maxsplit=1)[0]}").split()


def tried(box: Box, program: Path, mount: Path, acts: list[str]) -> dict[str, bool]:
    """Each act, in a process of its own: whether it failed with EPERM."""
    return {act: box.run(str(program), *words(act, mount)).denied for act in acts}


@pytest.mark.parametrize("operation", WORDS)
def test_a_denied_operation_is_refused_by_every_way(bench: Bench, program: Path, mount: Path, operation: str) -> None:
    """Each act fails with EPERM and is told of by the operation's word; without the rule, all others denied, none."""
    acts = ACTS[operation]
    with bench.box(rule([word for word in WORDS if word != operation])) as box:
        assert tried(box, program, mount, acts) == dict.fromkeys(acts, False)
        assert box.violations() == []
    for each in mount.glob("new-*"):
        each.unlink()
    with bench.box(rule([operation])) as box:
        assert tried(box, program, mount, acts) == dict.fromkeys(acts, True)
        told = box.violations()
    assert {(each["operation"], each["verdict"], each["rule"]) for each in told} == {(operation, "DENIED", "r")}
    assert not list(mount.glob("new-*"))


def test_ordinary_life_goes_on_while_all_are_denied(bench: Bench, program: Path, mount: Path) -> None:
    """What is next to each operation and is none of them; starting programs, too."""
    with bench.box(rule(WORDS)) as box:
        assert {act: box.run(str(program), *words(act, mount)).err for act in ORDINARY} == dict.fromkeys(ORDINARY, "")
        assert box.sh("cat /proc/mounts | grep -c . && date && ls /sys/kernel && id").status == 0
        assert box.violations() == []


def test_what_it_was_about_is_told(bench: Bench, program: Path, mount: Path) -> None:
    """The place of a mount, the file, the traced process; nothing where there is nothing."""
    with bench.box(rule(WORDS)) as box:
        box.run(str(program), "mount", str(mount))
        box.run(str(program), "read", "/proc/self/mem")
        box.run(str(program), "write", "/proc/sys/kernel/core_pattern")
        box.run(str(program), "bpf")
        objects = {each["operation"]: each["object"] for each in box.violations()}
    assert objects["Mount"] == str(mount)
    assert re.fullmatch(r"/proc/\d+/mem", objects["ProcMem"])
    assert objects["KernelSettings"] == "/proc/sys/kernel/core_pattern"
    assert objects["Bpf"] == ""


def test_kill_ends_the_process_before_the_act(bench: Bench, program: Path, mount: Path) -> None:
    """SIGKILL, and the node is not there."""
    new = mount / "new"
    with bench.box(rule(["RawDevice", "Chroot"], "Kill")) as box:
        assert box.run(str(program), "mknod_block", str(new)).status in (-9, 137)
        assert box.run(str(program), "chroot").status in (-9, 137)
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}
    assert not new.exists()


def test_audit_only_tells(bench: Bench, program: Path, mount: Path) -> None:
    """A rule of action Audit, and a policy in mode Audit."""
    names = ["Chroot", "Bpf"]
    for text, verdict in ((rule(names, "Audit"), "AUDITED"), (rule(names, mode="Audit"), "WOULD_DENY")):
        with bench.box(text) as box:
            assert tried(box, program, mount, ["chroot", "bpf"]) == {"chroot": False, "bpf": False}
            told = box.violations()
        assert {(each["operation"], each["verdict"]) for each in told} == {("Chroot", verdict), ("Bpf", verdict)}


def test_an_allow_list(bench: Bench, program: Path, mount: Path) -> None:
    """default Deny with an explicit Allow."""
    text = policy("  operations: {default: Deny, rules: [{action: Allow, names: [Chroot]}]}\n")
    with bench.box(text) as box:
        assert tried(box, program, mount, ["chroot", "bpf"]) == {"chroot": False, "bpf": True}
