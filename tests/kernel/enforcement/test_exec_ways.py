"""Executing is executing: through the loader, from memory, by descriptor, as a loader, by mapping."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, Box, Done, policy

LOADER = "/lib64/ld-linux-x86-64.so.2"
PYTHON = "/usr/bin/python3"
NOTHING = policy("  exec: {default: Allow}")
FILELESS = policy("""
  exec:
    rules: [{name: memory, action: Deny, fileless: true}]
""")

# Each leaves the descriptor of an executable file in `fd`; argv[1] is a folder to write to.
DESCRIPTORS = {
    "memfd": "fd = os.memfd_create('x', 0); write(fd)",
    "deleted": "fd = made(); os.unlink(path)",
    "tmpfile": "fd = reopened(os.open(sys.argv[1], os.O_TMPFILE | os.O_RDWR, 0o755))",
}
EXECUTE = """
import os, sys
path = sys.argv[1] + "/made"
def write(fd):
    with open("/bin/busybox", "rb") as source:
        os.sendfile(fd, source.fileno(), 0, 1 << 24)
    return fd
def made():
    os.close(write(os.open(path, os.O_CREAT | os.O_WRONLY, 0o755)))
    return os.open(path, os.O_RDONLY)
def reopened(fd):
    write(fd)
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)
    os.close(fd)
    return again
"""


def denying(*paths: str, section: str = "") -> str:
    """A rule against executing programs."""
    listed = ", ".join(f'"{path}"' for path in paths)
    return policy(f"  exec:\n    rules: [{{name: r, action: Deny, paths: [{listed}]}}]\n{section}")


def allowing(*paths: str) -> str:
    """An allow-list."""
    listed = ", ".join(f'"{path}"' for path in paths)
    return policy(f"  exec:\n    default: Deny\n    rules: [{{name: listed, action: Allow, paths: [{listed}]}}]\n")


def python(box: Box, code: str, *argv: str) -> Done:
    """Run Python in the box."""
    return box.run(PYTHON, "-S", "-c", code, *argv)


@pytest.mark.parametrize("how", DESCRIPTORS)
@pytest.mark.parametrize("by", ["os.execve(fd, argv, {})", "os.execv(f'/proc/self/fd/{fd}', argv)"])
def test_what_no_path_leads_to_is_fileless(bench: Bench, tmp_path: Path, how: str, by: str) -> None:
    """Memory, a deleted file, one that never had a name; by execveat and by /proc. A program with a path runs."""
    code = f"{EXECUTE}{DESCRIPTORS[how]}\nargv = ['busybox', 'echo', 'ran']\n{by}"
    with bench.box(NOTHING) as box:
        assert python(box, code, str(tmp_path)).out == "ran\n"
    with bench.box(FILELESS) as box:
        done = python(box, code, str(tmp_path))
        assert done.denied, done
        (violation,) = box.violations()
        assert (violation["rule"], violation["operation"]) == ("memory", "Exec")
        named = "fd = os.open('/bin/busybox', os.O_RDONLY); os.execve(fd, ['busybox', 'echo', 'ran'], {})"
        assert python(box, f"import os; {named}").out == "ran\n"
        assert box.sh("echo $(/usr/bin/uname)").out == "Linux\n"


def test_a_descriptor_of_a_denied_program_is_the_program(bench: Bench) -> None:
    """execveat with AT_EMPTY_PATH, relative to a directory's descriptor, and in a thread."""
    by_descriptor = "import os; os.execve(os.open('/usr/bin/id', os.O_RDONLY), ['id'], {})"
    in_thread = """
import os, threading
def run():
    try: os.execv('/usr/bin/id', ['id'])
    except PermissionError: os._exit(7)
threading.Thread(target=run).start()
"""
    vfork = "import os; os.posix_spawn('/usr/bin/id', ['id'], {})"
    with bench.box(denying("/usr/bin/id")) as box:
        assert python(box, by_descriptor).denied
        assert python(box, in_thread).status == 7
        assert python(box, vfork).denied
        assert {each["object"] for each in box.violations()} == {"/usr/bin/id"}
        assert python(box, vfork.replace("/id", "/uname")).status == 0


def test_the_loader_runs_nothing_that_is_denied(bench: Bench) -> None:
    """`ld.so X` maps X, which is executing X; another program runs through the loader."""
    with bench.box(denying("/usr/bin/id")) as box:
        assert box.run(LOADER, "/usr/bin/id").status == 127
        (violation,) = box.violations()
        assert (violation["operation"], violation["object"]) == ("Exec", "/usr/bin/id")
        assert box.run(LOADER, "/usr/bin/uname").out == "Linux\n"


def test_under_an_allow_list_a_loader_maps_only_what_is_listed(bench: Bench) -> None:
    """The loader listed does not open the list: neither programs nor libraries. A listed program has its libraries."""
    libraries = "/usr/lib/x86_64-linux-gnu/**"
    with bench.box(allowing("/usr/bin/bash", LOADER, "/usr/bin/uname")) as box:
        assert box.run("/usr/bin/uname").status == 0
        assert box.run(LOADER, "/usr/bin/id").status == 127
        assert box.run(LOADER, "/usr/bin/uname").status == 127  # libc is not listed, and this is the loader's process
        assert {each["rule"] for each in box.violations()} == {"default"}
    with bench.box(allowing("/usr/bin/bash", LOADER, "/usr/bin/uname", libraries)) as box:
        assert box.run(LOADER, "/usr/bin/uname").out == "Linux\n"
        assert box.run(LOADER, "/usr/bin/id").status == 127


def test_under_an_allow_list_programs_map_libraries_of_the_image_alone(bench: Bench, tmp_path: Path) -> None:
    """dlopen of one that was there works, of one that was written since does not; an explicit rule denies any."""
    library = Path("/usr/lib/x86_64-linux-gnu/libutil.so.1")
    load = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    listed = ("/usr/bin/bash", f"{PYTHON}*")
    with bench.box(allowing(*listed)) as box:
        shutil.copy(library, tmp_path / "new.so")
        assert python(box, load, str(library)).status == 0
        assert box.violations() == []
        assert python(box, load, str(tmp_path / "new.so")).status == 1
        (violation,) = box.violations()
        assert violation["object"].endswith("new.so")
    explicit = policy(f"""
  exec:
    default: Deny
    rules:
    - {{name: listed, action: Allow, paths: ["/usr/bin/bash", "{PYTHON}*"]}}
    - {{name: never, action: Deny, paths: ["{library}"]}}
""")
    with bench.box(explicit) as box:
        assert python(box, load, str(library)).status == 1
        assert [each["rule"] for each in box.violations()] == ["never"]
        assert python(box, "import ctypes").status == 0


def test_a_denied_file_is_not_run_as_a_programs_loader(bench: Bench, tmp_path: Path) -> None:
    """PT_INTERP: exec fails with EPERM, before the old program is gone. The loader of other programs is let alone."""
    loader = tmp_path / "l"
    shutil.copy(LOADER, loader)
    program = Path("/usr/bin/uname").read_bytes()
    patched = tmp_path / "uname"
    link = Path("/tmp/ld-linked.so.2")  # as short as what it replaces
    link.symlink_to(loader)
    try:
        patched.write_bytes(program.replace(LOADER.encode(), str(link).encode().ljust(len(LOADER), b"\0")))
        patched.chmod(0o755)
        with bench.box(NOTHING) as box:
            assert box.run(str(patched)).out == "Linux\n"
        with bench.box(denying(str(loader))) as box:
            assert box.sh(f"{patched} || echo here still").out == "here still\n"
            (violation,) = box.violations()
            assert violation["object"] == str(loader)
            assert box.run("/usr/bin/uname").out == "Linux\n"
    finally:
        link.unlink()


MAPPING = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def check(bad):
    if bad:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def map(protection, flags=2, path=None):
    fd = os.open(path, os.O_RDONLY) if path else -1
    at = libc.mmap(None, 4096, protection, flags if path else flags | 0x20, fd, 0)
    check(at == ctypes.c_void_p(-1).value)
    return at
def protect(at, protection):
    check(libc.mprotect(at, 4096, protection))
"""


@pytest.mark.parametrize(
    "act",
    ["map(5, 2, path)", "map(5, 1, path)", "protect(map(1, 2, path), 5)", "at = map(3, 2, path); protect(at, 5)"],
    ids=["private", "shared", "protected later", "written to before"],
)
@pytest.mark.parametrize("section", ["exec", "files"])
def test_mapping_is_judged(bench: Bench, tmp_path: Path, act: str, section: str) -> None:
    """By rules on executing and by Map of files alike, at once or by mprotect; reading it and the neighbour go on."""
    covered, free = tmp_path / "covered", tmp_path / "free"
    for path in (covered, free):
        shutil.copy("/usr/bin/true", path)
    operations = "operations: [Map], " if section == "files" else ""
    rule = policy(f'  {section}:\n    rules: [{{name: r, action: Deny, {operations}paths: ["{covered}"]}}]\n')
    code = f"{MAPPING}path = sys.argv[1]; {act}"
    with bench.box(rule) as box:
        assert python(box, code, str(covered)).denied
        (violation,) = box.violations()
        expected = "Map" if section == "files" else "Exec"
        assert (violation["operation"], violation["object"]) == (expected, str(covered))
        assert python(box, code, str(free)).status == 0
        assert python(box, f"{MAPPING}map(1, 2, sys.argv[1])", str(covered)).status == 0
        assert box.run("/bin/cat", str(covered)).status == 0
        assert box.run(str(covered)).status == (126 if section == "exec" else 0)  # starting is not Map
        assert box.run(str(free)).status == 0
    with bench.box(NOTHING) as box:
        assert python(box, code, str(covered)).status == 0


def test_code_made_in_memory_runs(bench: Bench) -> None:
    """A JIT's anonymous memory is no file: writable and executable, or one after the other, under every such rule."""
    strict = policy(f"""
  exec:
    default: Deny
    rules:
    - {{name: listed, action: Allow, paths: ["/usr/bin/bash", "{PYTHON}*"]}}
    - {{name: memory, action: Kill, fileless: true}}
    - {{name: drift, action: Kill, notInImage: true}}
""")
    code = f"{MAPPING}map(7); at = map(3); protect(at, 5); map(7, 1)"
    with bench.box(strict) as box:
        assert python(box, code).status == 0
        assert python(box, "import ctypes; ctypes.CFUNCTYPE(None)(lambda: print('ran'))()").out == "ran\n"
        assert box.violations() == []


def test_memory_files_are_not_mapped_executable_under_a_rule_on_fileless(bench: Bench) -> None:
    """A memfd mapped for execution is a program from memory; mapped for data it is memory."""
    code = (
        f"{MAPPING}fd = os.memfd_create('x'); os.truncate(fd, 4096); map(int(sys.argv[1]), 1, f'/proc/self/fd/{{fd}}')"
    )
    with bench.box(FILELESS) as box:
        assert python(box, code, "1").status == 0
        assert python(box, code, "5").denied
    with bench.box(NOTHING) as box:
        assert python(box, code, "5").status == 0


def test_a_kill_comes_before_the_mapping(bench: Bench) -> None:
    """The process that maps ends."""
    with bench.box(denying("/usr/bin/id").replace("Deny", "Kill")) as box:
        assert box.run(LOADER, "/usr/bin/id").status in (-9, 137)
        (violation,) = box.violations()
        assert violation["verdict"] == "KILLED"


def test_audit_of_a_mapping_reports_once_and_lets_it_be(bench: Bench) -> None:
    """Starting the program is one violation, though the kernel also opens and maps it."""
    with bench.box(denying("/usr/bin/id").replace("Deny", "Audit")) as box:
        assert box.run("/usr/bin/id").status == 0
        (violation,) = box.violations()
        assert (violation["verdict"], violation["count"]) == ("AUDITED", 1)
        assert box.run(LOADER, "/usr/bin/id").status == 0
        assert {each["object"] for each in box.violations()} == {"/usr/bin/id"}


@pytest.mark.parametrize("flags", ["", "F"], ids=["opened when it is needed", "opened when it was registered"])
def test_binfmt_misc_interpreters_are_judged(bench: Bench, tmp_path: Path, flags: str) -> None:
    """A file of a registered format is executed by its interpreter: both are judged."""
    interpreter, document = tmp_path / "interpreter", tmp_path / "document"
    shutil.copy("/bin/busybox", interpreter)
    document.write_text("BULKHEADecho ran\n")
    document.chmod(0o755)
    formats = tmp_path / "formats"
    formats.mkdir()
    subprocess.run(["mount", "-t", "binfmt_misc", "none", str(formats)], check=True)
    script = tmp_path / "sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    try:
        (formats / "register").write_text(f":bulkhead:M::BULKHEAD::{script}:{flags}")
        with bench.box(NOTHING) as box:
            assert box.run(str(document)).out == "ran\n"
        for denied in (document, script):
            with bench.box(denying(str(denied))) as box:
                assert box.run(str(document)).status == 126
                assert {each["object"] for each in box.violations()} == {str(denied)}
        with bench.box(denying(str(interpreter))) as box:
            assert box.run(str(document)).out == "ran\n"
        (formats / "bulkhead").write_text("-1")
    finally:
        subprocess.run(["umount", str(formats)], check=True)
