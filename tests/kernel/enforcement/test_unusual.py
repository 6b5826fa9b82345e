"""A rule holds against system calls that few programs make, and against flags that none should give."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, Done, policy
from tests.kernel.enforcement.programs import compiled

# Acts of unusual.c on a file, and those that give it another name.
ON_ONE = (
    *("beneath", "in_root", "cached", "neither", "append", "exclusive", "account"),
    *("chmod_at", "chown_at", "times_at", "setxattr_at", "removexattr_at"),
)
TO_ANOTHER = ("link_at", "noreplace", "whiteout")
# Acts of ring.c on a file.
BY_RING = ("open", "open_direct", "unlink", "rename", "link", "symlink", "mkdir", "setxattr")
MISSING = os.strerror(errno.ENOSYS)


def rule(paths: str, operations: str = "", action: str = "Deny", by: str = "") -> str:
    """A rule on files; of all operations where none is named."""
    named = f"operations: [{operations}], " if operations else ""
    who = f', by: ["{by}"]' if by else ""
    return policy(f"""
  files:
    rules: [{{name: r, action: {action}, {named}paths: ["{paths}"]{who}}}]
""")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """covered/ is under the rule, free/ is the neighbour; both have the files of every act."""
    for name in ("covered", "free"):
        (tmp_path / name).mkdir()
        for act in (*ON_ONE, *TO_ANOTHER, *BY_RING, *(f"async-{each}" for each in BY_RING), "watch"):
            if act == "exclusive":
                continue
            (tmp_path / name / act).write_text("text\n" * 1000)
            os.setxattr(tmp_path / name / act, "trusted.y", b"y")
    return tmp_path


def unusual(box: Box, act: str, *arguments: object) -> Done:
    """One act of unusual.c."""
    return box.run(str(compiled("unusual")), act, *map(str, arguments))


def ring(box: Box, act: str, *arguments: object) -> Done:
    """One act of ring.c."""
    return box.run(str(compiled("ring")), act, *map(str, arguments))


def test_every_way_is_judged(bench: Bench, tree: Path) -> None:
    """Each act fails with EPERM on a covered file, and works beside it, where the kernel has it at all."""
    with bench.box(rule(f"{tree}/covered/**")) as box:
        for act in (*ON_ONE, *TO_ANOTHER):
            free, covered = (
                unusual(box, act, tree / place / act, tree / place / f"{act}.new") for place in ("free", "covered")
            )
            assert free.status == 0 or MISSING in free.err, (act, free)
            assert covered.denied or MISSING in covered.err, (act, covered)
        told = box.violations()
    assert {each["rule"] for each in told} == {"r"}


def test_a_request_that_one_file_system_knows_is_judged_on_each(bench: Bench, tree: Path) -> None:
    """ext4's ioctl for a file's version asks only for a descriptor that can read; here the kernel does not know it."""
    with bench.box(rule(f"{tree}/covered/**", "Attributes")) as box:
        assert unusual(box, "version", tree / "covered/append").denied
        assert os.strerror(errno.ENOTTY) in unusual(box, "version", tree / "free/append").err
    with bench.box(rule(f"{tree}/covered/**", "Write")) as box:
        assert os.strerror(errno.ENOTTY) in unusual(box, "version", tree / "covered/append").err


def test_a_nameless_file_gets_no_covered_name(bench: Bench, tree: Path) -> None:
    """O_TMPFILE beside the covered directory, then linkat(2) into it."""
    with bench.box(rule(f"{tree}/covered/**", "Create")) as box:
        assert unusual(box, "link_nameless", tree / "free", tree / "covered/new").denied
        assert unusual(box, "link_nameless", tree / "free", tree / "free/new").status == 0
    assert not (tree / "covered/new").exists()


@pytest.fixture
def dumping() -> Iterator[None]:
    """Core dumps go to a file in the working directory."""
    pattern = Path("/proc/sys/kernel/core_pattern")
    before = pattern.read_text()
    pattern.write_text("core")
    yield
    pattern.write_text(before)


@pytest.mark.usefixtures("dumping")
def test_the_kernel_dumps_no_core_to_a_covered_place(bench: Bench, tree: Path) -> None:
    """It makes the file in the name of the process that crashed, and is judged as that."""
    dump = "ulimit -c unlimited; exec {} dump {}"
    with bench.box(rule(f"{tree}/covered/**", "Create")) as box:
        assert box.sh(dump.format(compiled("unusual"), tree / "covered")).status == 1
        assert [each["operation"] for each in box.violations()] == ["Create"]
        assert box.sh(dump.format(compiled("unusual"), tree / "free")).status == 0
    assert not (tree / "covered/core").exists()


def test_a_descriptor_that_comes_with_an_event_is_judged(bench: Bench, tree: Path) -> None:
    """fanotify(7) opens for the watcher what another process opens; whom the rule denies it gets none."""
    with bench.box(rule(f"{tree}/covered/**", "Read")) as box:
        for place, expected in (("covered", 1), ("free", 0)):
            watcher = box.start(str(compiled("unusual")), "watch", str(tree / place / "watch"))
            assert watcher.stdout
            assert watcher.stdout.readline() == "watching\n"
            (tree / place / "watch").read_text()
            assert watcher.wait(60) == expected


@pytest.mark.parametrize("worker", ["", "async-"], ids=["at once", "in a worker"])
def test_a_ring_is_no_way_round(bench: Bench, tree: Path, worker: str) -> None:
    """io_uring: each operation is denied as its system call is, also where a thread of the kernel's does it."""
    with bench.box(rule(f"{tree}/covered/**"), policy(NO_PACKETS, "q")) as box:
        for act in BY_RING:
            for place in ("free", "covered"):
                file = tree / place / f"{worker}{act}"
                done = ring(box, f"{worker}{act}", file, f"{file}.new")
                assert done.denied is (place == "covered"), (act, done)
                assert done.status == (place == "covered"), (act, done)
        assert ring(box, f"{worker}socket").denied
    with bench.box(rule(f"{tree}/covered/**", "Read", "Kill")) as box:
        assert ring(box, f"{worker}open", tree / "covered/open").status in (-9, 137)
        assert ring(box, f"{worker}socket").status == 0


NO_PACKETS = "  network: {sockets: {rules: [{action: Deny, families: [packet]}]}}\n"


@pytest.mark.parametrize("worker", ["", "async-"], ids=["at once", "in a worker"])
def test_a_ring_acts_as_the_program_that_has_it(bench: Bench, tree: Path, worker: str) -> None:
    """Rules with `by`: whoever is allowed reads by a ring, too, and nobody else does."""
    programs = [tree / name for name in ("web", "other")]
    for program in programs:
        program.write_bytes(compiled("ring").read_bytes())
        program.chmod(0o755)
    with bench.box(rule(f"{tree}/covered/**", "Read", by=f"!{tree}/web")) as box:
        web, other = (box.run(str(each), f"{worker}open", str(tree / "covered/open")) for each in programs)
    assert web.status == 0, web
    assert other.denied


@contextmanager
def queues() -> Iterator[None]:
    """The file system of message queues, with two in it."""
    place = Path("/dev/mqueue")
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "mqueue", "none", place], check=True)
    try:
        for name in ("covered", "free"):
            subprocess.run([compiled("unusual"), "queue_create", place / name], check=True)
        yield
    finally:
        for each in place.iterdir():
            each.unlink()
        subprocess.run(["umount", place], check=True)


def test_message_queues_are_files(bench: Bench) -> None:
    """mq_open(2) and mq_unlink(2), also with a flag that says that the kernel opens it for executing."""
    with queues(), bench.box(rule("/dev/mqueue/covered*")) as box:
        for act in ("queue", "queue_for_executing", "queue_unlink"):
            assert unusual(box, act, "/dev/mqueue/free").status == 0
            assert unusual(box, act, "/dev/mqueue/covered").status == 1, act
        assert unusual(box, "queue_create", "/dev/mqueue/new").status == 0
        assert unusual(box, "queue_create", "/dev/mqueue/covered-new").denied
        assert {each["operation"] for each in box.violations()} == {"Read", "Delete", "Create"}


@pytest.mark.parametrize("section", ["exec", "files"])
def test_what_a_process_says_of_itself_does_not_count(bench: Bench, tmp_path: Path, section: str) -> None:
    """Neither a vector of zeros, as while exec goes on (PR_SET_MM_MAP), nor another program's file as its own."""
    as_own = """
import ctypes, mmap, os, sys
file = os.open(sys.argv[1], os.O_RDONLY)
ctypes.CDLL(None).prctl(35, 13, file, 0, 0)  # PR_SET_MM_EXE_FILE
mmap.mmap(file, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
"""
    for name in ("covered", "free"):
        (tmp_path / name).write_bytes(bytes(8192))
    named = "operations: [Map], " if section == "files" else ""
    text = policy(f'  {section}: {{rules: [{{name: r, action: Deny, {named}paths: ["{tmp_path}/covered"]}}]}}\n')
    with bench.box(text) as box:
        for act in ("map", "protect_with_key", "map_as_if_starting"):
            assert unusual(box, act, tmp_path / "free").status == 0
            assert unusual(box, act, tmp_path / "covered").denied, act
        for name in ("covered", "free"):
            done = box.run("/usr/bin/python3", "-I", "-S", "-c", as_own, str(tmp_path / name))
            assert done.denied is (name == "covered"), done


def test_shared_memory_is_not_executed_under_a_rule_on_fileless(bench: Bench) -> None:
    """shmat(2) with SHM_EXEC, and a memory file; both are done without the rule."""
    with bench.box(policy("  exec: {rules: [{action: Deny, fileless: true}]}\n")) as box:
        assert unusual(box, "shared_memory").denied
        assert unusual(box, "memory_file").denied
    with bench.box(policy("  exec: {rules: [{action: Deny, paths: [/nowhere]}]}\n")) as box:
        assert unusual(box, "shared_memory").status == unusual(box, "memory_file").status == 0


def test_a_kill_ends_the_first_process_of_a_namespace(bench: Bench, tree: Path) -> None:
    """Which no other signal does: a container's program is process 1 there."""
    script = f"read -r line < {tree}/covered/open; echo alive"
    first = ("unshare", "--pid", "--fork", "--mount-proc", "/bin/bash", "-c", script)
    with bench.box(rule(f"{tree}/covered/**", "Read", "Kill")) as box:
        assert box.run(*first).out == ""
        assert [each["verdict"] for each in box.violations()] == ["KILLED"]
    with bench.box(rule(f"{tree}/free/**", "Read", "Kill")) as box:
        assert box.run(*first).out == "alive\n"
