"""`by`, and the code that a program maps: what is not of the image takes from it what rules gave to the program."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, Done, policy
from tests.kernel.enforcement.codeless import command

CAT = "/usr/bin/cat"
HEAD = "/usr/bin/head"
BASH = "/usr/bin/bash"
TRUE = "/usr/bin/true"
PYTHON = "/usr/bin/python3.11"
OF_IMAGE = "/usr/lib/x86_64-linux-gnu/libm.so.6"

# Each maps the library argv[1] as code, or the like; what follows opens argv[2].
MAPPINGS = {
    "dlopen": "ctypes.CDLL(path)",
    "memory file": "ctypes.CDLL(f'/proc/self/fd/{memory()}')",
    "mprotect": "protected(map(fd, READ, PRIVATE))",
    "private": "map(fd, READ | EXEC, PRIVATE)",
}
DEEDS = {
    "shared memory file": "map(memory(), READ | EXEC, SHARED)",
    "not executable": "map(fd, READ, PRIVATE)",
    "no file": "map(-1, READ | EXEC, PRIVATE | ANONYMOUS)",
    "of the image": f"ctypes.CDLL('{OF_IMAGE}')",
}
PRELUDE = """
import ctypes, os, sys
path, target = sys.argv[1:3]
fd = os.open(path, os.O_RDONLY)
READ, EXEC, SHARED, PRIVATE, ANONYMOUS = 1, 4, 1, 2, 32
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
def map(fd, protection, flags):
    address = libc.mmap(None, ctypes.c_size_t(4096), protection, flags, fd, ctypes.c_size_t(0))
    assert address not in (None, ctypes.c_void_p(-1).value), ctypes.get_errno()
    return address
def protected(address):
    assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), READ | EXEC) == 0, ctypes.get_errno()
def memory():
    made = os.memfd_create("code")
    os.sendfile(made, fd, 0, 1 << 20)
    return made
def look():
    try:
        open(target).close()
        print("ok")
    except PermissionError:
        print("EPERM")
"""


@dataclass(frozen=True)
class Stage:
    """A library that is not of the image where it was written after the policy, and two files."""

    library: str
    secret: str
    plain: str

    @contextmanager
    def box(self, bench: Bench, *by: str, action: str = "Deny") -> Iterator[Box]:
        """A box under the rule, into which the library is written then."""
        with bench.box(self.rules(*by, action=action)) as box:
            Path(self.library).unlink(missing_ok=True)
            shutil.copy(OF_IMAGE, self.library)
            yield box

    def rules(self, *by: str, action: str = "Deny") -> str:
        """A rule about who reads the secret."""
        listed = ", ".join(f'"{each}"' for each in by)
        return policy(f"""
  files:
    rules:
    - {{name: secret, action: {action}, operations: [Read], paths: ["{self.secret}"], by: [{listed}]}}
""")

    def preloaded(self, box: Box, *argv: str, library: str = "") -> Done:
        """Run a program with a library named in its environment."""
        return box.run("/usr/bin/env", f"LD_PRELOAD={library or self.library}", *argv)

    def mapping(self, box: Box, code: str, target: str = "") -> list[str]:
        """What comes of reading a file after some mapping."""
        script = f"{PRELUDE}{code}\nlook()\n"
        done = box.run(PYTHON, "-S", "-c", script, self.library, target or self.secret)
        assert done.status == 0, done
        return done.out.split()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """All of it."""
    folder = tmp_path_factory.mktemp("code")
    for name in ("secret", "plain"):
        (folder / name).write_text(f"{name}\n")
    return Stage(*(str(folder / name) for name in ("library.so", "secret", "plain")))


def test_a_library_named_in_the_environment_takes_the_trust(bench: Bench, stage: Stage) -> None:
    """Nobody but cat reads: cat with somebody's library is not cat, and the event says so."""
    with stage.box(bench, f"!{CAT}") as box:
        assert box.run(CAT, stage.secret).out == "secret\n"
        assert stage.preloaded(box, CAT, stage.secret, library=OF_IMAGE).out == "secret\n"
        assert stage.preloaded(box, CAT, stage.plain).out == "plain\n"
        assert box.violations() == []
        assert stage.preloaded(box, CAT, stage.secret).denied
        (violation,) = box.violations()
        assert violation["program_unknown"] is True
        assert box.run(HEAD, stage.secret).denied
        (violation,) = box.violations()
        assert violation["program_unknown"] is False


def test_without_the_rule_it_reads(bench: Bench, stage: Stage) -> None:
    """The control: the library itself forbids nothing."""
    with stage.box(bench, f"!{CAT}", action="Allow") as box:
        assert stage.preloaded(box, CAT, stage.secret).out == "secret\n"


def test_a_library_without_code_takes_the_trust(bench: Bench, stage: Stage) -> None:
    """Data are enough to have the loader call somebody's code on the stack; the program is not itself from then on."""
    library = Path(stage.library)
    with stage.box(bench, f"!{TRUE}") as box:
        assert box.run(*command(library, TRUE, stage.plain)).out == "plain\n"
        assert box.violations() == []
        assert box.run(*command(library, TRUE, stage.secret)).status == errno.EPERM
        (violation,) = box.violations()
        assert violation["program_unknown"] is True
    with stage.box(bench, f"!{TRUE}", action="Allow") as box:
        assert box.run(*command(library, TRUE, stage.secret)).out == "secret\n"


def test_a_library_does_not_take_a_ban(bench: Bench, stage: Stage) -> None:
    """What is forbidden to cat is forbidden to cat with a library; others with it are still not cat."""
    with stage.box(bench, CAT) as box:
        assert box.run(CAT, stage.secret).denied
        assert stage.preloaded(box, CAT, stage.secret).denied
        assert stage.preloaded(box, HEAD, stage.secret).out == "secret\n"


@pytest.mark.parametrize("way", MAPPINGS)
def test_every_way_to_map_code(bench: Bench, stage: Stage, way: str) -> None:
    """As loaders do it, and in steps."""
    with stage.box(bench, f"!{PYTHON}") as box:
        assert stage.mapping(box, MAPPINGS[way], stage.plain) == ["ok"]
        assert stage.mapping(box, MAPPINGS[way]) == ["EPERM"]


@pytest.mark.parametrize("deed", DEEDS)
def test_what_is_not_foreign_code(bench: Bench, stage: Stage, deed: str) -> None:
    """The control: a just-in-time compiler's memory, data, and libraries of the image."""
    with stage.box(bench, f"!{PYTHON}") as box:
        assert stage.mapping(box, DEEDS[deed]) == ["ok"]


def test_children_have_the_code_and_the_next_program_has_not(bench: Bench, stage: Stage) -> None:
    """It follows fork, and ends at exec."""
    with stage.box(bench, f"!{BASH}", f"!{CAT}") as box:
        assert box.run(BASH, "-c", f"(echo $(< {stage.secret}))").out == "secret\n"
        assert "not permitted" in stage.preloaded(box, BASH, "-c", f"(echo $(< {stage.secret}))").err
        assert stage.preloaded(box, BASH, "-c", f"unset LD_PRELOAD; exec {CAT} {stage.secret}").out == "secret\n"


@contextmanager
def waiting(box: Box, stage: Stage) -> Iterator[subprocess.Popen[str]]:
    """A process of the box that maps the library, says so, and reads the secret at each line that it is sent."""
    script = f"{PRELUDE}{MAPPINGS['private']}\nprint('mapped', flush=True)\nfor line in sys.stdin:\n    look()\n"
    with box.start(PYTHON, "-u", "-S", "-c", script, stage.library, stage.secret) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def asked(process: subprocess.Popen[str]) -> str:
    """What became of another reading."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_another_policy_does_not_forget_it(bench: Bench, stage: Stage) -> None:
    """A process with foreign code is not trusted by a later policy either, and may read where none asks who reads."""
    with stage.box(bench, f"!{CAT}", f"!{PYTHON}") as box, waiting(box, stage) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mapped\n"
        assert asked(process) == "EPERM"
        box.apply(stage.rules(f"!{PYTHON}"))
        assert asked(process) == "EPERM"
        box.apply(stage.rules(f"!{PYTHON}", action="Allow"))
        assert asked(process) == "ok"
