"""The guest is what the other kernel tests take it for."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from bulkhead.kernel.bundle import bundle_key, cached_bundle
from bulkhead.kernel.plan import LSM_LIST

CHECKOUT = Path(__file__).parents[2]
KERNEL = CHECKOUT / ".cache/kernels" / os.environ["BULKHEAD_GUEST"]
BTF = Path("/sys/kernel/btf/vmlinux")


def mounts() -> dict[str, str]:
    """File system type by mount point, the one on top where there are several."""
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return {fields[1].replace("\\040", " "): fields[2] for fields in lines}


def test_kernel_is_the_one_asked_for() -> None:
    """What runs is the release that lies in the cache, with the modules beside it."""
    release = os.uname().release
    assert release == (KERNEL / "release").read_text().strip()
    assert (Path("/lib/modules") / release / "modules.dep").exists()


def test_type_information_was_extracted_rightly() -> None:
    """The BTF taken out of the image natively is the running kernel's, byte for byte."""
    assert BTF.read_bytes() == (KERNEL / "vmlinux.btf").read_bytes()


def test_programs_were_compiled_before_boot() -> None:
    """The agent finds programs for the running kernel, so no suite waits for clang."""
    bpf_lsm = "bpf" in LSM_LIST.read_text().strip().split(",")
    assert cached_bundle(bundle_key(BTF, bpf_lsm), Path(os.environ["BULKHEAD_BUNDLES"])) is not None


def test_security_modules_are_those_of_the_command_line() -> None:
    """Each module of lsm= that this kernel has is active, and bpf is only where it was asked for."""
    words = Path("/proc/cmdline").read_text().split()
    (asked,) = [word.removeprefix("lsm=").split(",") for word in words if word.startswith("lsm=")]
    active = Path("/sys/kernel/security/lsm").read_text().strip().split(",")
    assert set(asked) <= set(active)
    assert ("bpf" in active) is ("bpf" in asked)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/sys/fs/bpf", "bpf"),
        ("/sys/fs/cgroup", "cgroup2"),
        ("/sys/kernel/security", "securityfs"),
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "devtmpfs"),
        ("/tmp", "tmpfs"),
        ("/run", "tmpfs"),
        ("/var/lib/bulkhead", "tmpfs"),
        ("/", "overlay"),
    ],
)
def test_file_system_is_mounted(path: str, kind: str) -> None:
    """A node's file systems are there; what is written lands in memory."""
    assert mounts()[path] == kind


def test_we_are_root_in_the_checkout() -> None:
    """Commands run as root, in this checkout, with its interpreter, and nobody types anything."""
    assert os.getuid() == 0
    assert Path.cwd() == CHECKOUT
    assert Path(sys.prefix) == CHECKOUT / ".venv"
    assert Path("/proc/self/fd/0").readlink() == Path("/dev/null")


def test_loopback_is_up() -> None:
    """Both families can talk to themselves."""
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.create_server((address, 0), family=family) as server:
            socket.create_connection(server.getsockname()[:2]).close()


def test_results_go_to_the_machine() -> None:
    """The folder for results is no part of the guest's memory."""
    results = os.environ["BULKHEAD_RESULTS"]
    assert mounts()[results] == "9p"
    mark = Path(results) / "bench-was-here"
    mark.write_text("yes\n")
    mark.unlink()
