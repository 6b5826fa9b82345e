"""What enforces cannot be touched from a container under a policy, whatever its capabilities; all else can."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.kernel import libbpf
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance, remove_instance
from bulkhead.node import cgroups
from tests.kernel.enforcement.box import Bench, Box, policy

PINS = Path("/sys/fs/bpf/tampering-test")
AGENT = os.getpid()  # whoever loads the programs is the agent
ANY = policy("""
  exec:
    rules: [{name: r, action: Deny, paths: ["/nowhere"]}]
  network:
    egress: {rules: [{name: n, action: Deny, to: [{cidr: 192.0.2.0/24}]}]}
""")
AUDITED = policy("""
  mode: Audit
  exec:
    rules: [{name: r, action: Deny, paths: ["/nowhere"]}]
""")
# bpf(2): a command and words, or a path, as its attributes; says the error, and can go on with the descriptor it got.
BPF = """
import ctypes, errno, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 128)
    made = libc.syscall(321, command, attributes, 128)
    print("done" if made >= 0 else errno.errorcode[ctypes.get_errno()])
    return made
def by_path(path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(7, struct.pack("<Q", ctypes.addressof(name)))
def pin(descriptor, path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(6, struct.pack("<QI", ctypes.addressof(name), descriptor))
def id_of(descriptor):
    info = ctypes.create_string_buffer(256)
    bpf(15, struct.pack("<IIQ", descriptor, 256, ctypes.addressof(info)))
    return struct.unpack_from("<4xI", info)[0]
"""
MAP_CREATE, PROG_BY_ID, MAP_BY_ID, LINK_UPDATE, LINK_BY_ID, LINK_DETACH = 0, 13, 14, 29, 30, 34


@pytest.fixture(scope="module")
def guarded() -> Iterator[Bench]:
    """An instance of its own, pinned as an agent's is."""
    instance = load_instance(bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles")), PINS)
    yield Bench(instance)
    instance.close()
    remove_instance(PINS)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A process of the host that is not the agent."""
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        yield process.pid
        process.kill()


def bpf_in(box: Box, script: str) -> list[str]:
    """What the calls of a script came to."""
    done = box.run("python3", "-S", "-c", BPF + script)
    assert done.status == 0, done
    return done.out.split()


def rules(box: Box) -> set[tuple[str, str, str, str]]:
    """What was told."""
    return {(each["policy"], each["rule"], each["operation"], each["verdict"]) for each in box.violations()}


def refused(rule: str) -> set[tuple[str, str, str, str]]:
    """One rule's violations and no others."""
    return {("bulkhead", rule, "Tampering", "DENIED")}


def test_signals_to_the_agent(guarded: Bench, sleeper: int) -> None:
    """Refused and told with the agent's program; asking whether it lives is not, nor are signals to others."""
    with guarded.box(ANY) as box:
        assert box.run("/bin/kill", "-CONT", str(AGENT)).denied
        (told,) = box.violations()
        assert (told["policy"], told["rule"], told["severity"]) == ("bulkhead", "agent", "Critical")
        assert told["object"] == os.path.realpath(sys.executable)
        assert box.run("/bin/kill", "-0", str(AGENT)).status == 0
        assert box.run("/bin/kill", "-CONT", str(sleeper)).status == 0
        assert box.sh("sleep 100 & kill $!; wait $!").status == 143
        assert box.violations() == []
    assert subprocess.run(["/bin/kill", "-CONT", str(AGENT)], check=False).returncode == 0


def test_looking_into_the_agent(guarded: Bench, sleeper: int) -> None:
    """Memory and environment, by /proc; what everybody may know of a process stays readable."""
    with guarded.box(ANY) as box:
        for path in ("{0}/mem", "{0}/environ", "{0}/auxv", "{0}/maps", "{0}/task/{0}/smaps"):
            assert box.sh(f"exec 3< /proc/{path.format(AGENT)}").status != 0
            assert box.sh(f"exec 3< /proc/{path.format(sleeper)}").status == 0
        assert rules(box) == refused("agent")
        assert box.run("cat", f"/proc/{AGENT}/stat", f"/proc/{AGENT}/status").status == 0
        assert box.violations() == []


def test_starving_the_agent(guarded: Bench, sleeper: int) -> None:
    """Limits, priority, processors."""
    acts = (
        "import resource; resource.prlimit(PID, resource.RLIMIT_NICE, resource.prlimit(PID, resource.RLIMIT_NICE))",
        "import os; os.setpriority(os.PRIO_PROCESS, PID, os.getpriority(os.PRIO_PROCESS, PID))",
        "import os; os.sched_setaffinity(PID, os.sched_getaffinity(PID))",
    )
    with guarded.box(ANY) as box:
        for act in acts:
            assert box.run("python3", "-c", act.replace("PID", str(AGENT))).denied, act
            assert box.run("python3", "-c", act.replace("PID", str(sleeper))).status == 0, act
        assert rules(box) == refused("agent")


def test_objects_by_number(guarded: Bench) -> None:
    """Our maps, programs and links give no descriptor; the container's own do."""
    instance = guarded.instance
    with guarded.box(ANY) as box:
        ours = {
            MAP_BY_ID: instance.maps["containers"].descriptor,
            PROG_BY_ID: instance.programs["file_open"],
            LINK_BY_ID: next(iter(instance.links.values())),
        }
        for command, descriptor in ours.items():
            number = struct.unpack_from("<4xI", libbpf.object_info(descriptor))[0]
            assert bpf_in(box, f"bpf({command}, struct.pack('<I', {number}))") == ["EPERM"], command
        (packet,) = {link for (_, name), link in instance.cgroup_links.items() if name == "egress"}
        number = struct.unpack_from("<4xI", libbpf.object_info(packet))[0]
        assert bpf_in(box, f"bpf({LINK_BY_ID}, struct.pack('<I', {number}))") == ["EPERM"]
        assert rules(box) == refused("objects")
        own = f"bpf({MAP_BY_ID}, struct.pack('<I', id_of(bpf({MAP_CREATE}, struct.pack('<IIII', 2, 4, 8, 1)))))"
        assert bpf_in(box, own) == ["done", "done", "done"]
        assert box.violations() == []


def test_objects_by_pin(guarded: Bench) -> None:
    """Maps and programs give no descriptor. A link does, and nothing can be done with it."""
    with guarded.box(ANY) as box:
        assert bpf_in(box, f"by_path('{PINS}/maps/containers'); by_path('{PINS}/programs/file_open')") == ["EPERM"] * 2
        pin = PINS / f"cgroups/{box.cgroup.id}-egress"
        acts = f"link = by_path('{pin}'); bpf({LINK_DETACH}, struct.pack('<I', link))"
        assert bpf_in(box, f"{acts}; bpf({LINK_UPDATE}, struct.pack('<III', link, link, 0))") == [
            "done",
            *["EPERM"] * 2,
        ]
        assert rules(box) == refused("objects")


def test_pins(guarded: Bench) -> None:
    """They cannot be removed, renamed or unmounted; the container's own, beside them or in a mount of its own, can."""
    pin = PINS / "maps/containers"
    own = Path("/sys/fs/bpf/not-ours")
    with guarded.box(ANY) as box:
        assert box.run("/bin/rm", str(pin)).denied
        assert box.run("/bin/mv", str(pin), str(own)).denied
        assert box.run("/bin/mv", str(PINS), str(own)).denied
        assert box.run("/bin/umount", "/sys/fs/bpf").status != 0
        assert box.run("/bin/umount", "--lazy", "/sys/fs/bpf").status != 0
        assert rules(box) == refused("pins")
        assert pin.exists()
        create = f"pin(bpf({MAP_CREATE}, struct.pack('<IIII', 2, 4, 8, 1)), '{own}')"
        assert bpf_in(box, create) == ["done", "done"]
        assert box.sh(f"mv {own} {own}-2 && rm {own}-2").status == 0
        mount = "mount -t bpf none /mnt && mkdir /mnt/a && mv /mnt/a /mnt/b && rmdir /mnt/b && umount /mnt"
        assert box.run("unshare", "-m", "/bin/bash", "-c", mount).status == 0
        assert box.violations() == []


def test_cgroups_of_others(guarded: Bench) -> None:
    """No file of a cgroup outside may be written: who moves there is frozen there; their own and all below may."""
    other = cgroups.create(cgroups.mount_point() / "nobodys")
    with guarded.box(ANY) as box:
        for name, text in (("cgroup.procs", "$$"), ("cgroup.freeze", "1"), ("cgroup.max.depth", "1")):
            assert box.sh(f'echo {text} > "{other.path}/{name}"').denied, name
            assert box.sh(f"echo {text} > {cgroups.mount_point()}/../cgroup/{name}").status != 0
        assert rules(box) == refused("cgroups")
        own = box.cgroup.path
        assert box.sh(f"mkdir -p {own}/a/b && echo $$ > {own}/a/b/cgroup.procs").status == 0
        assert box.sh(f"echo 5 > {own}/cgroup.max.depth; cat '{other.path}/cgroup.procs'").status == 0
        assert box.violations() == []
    assert subprocess.run(["sh", "-c", f'echo 1 > "{other.path}/cgroup.max.depth"'], check=False).returncode == 0
    cgroups.remove(other.path)


def test_where_policies_only_watch(guarded: Bench) -> None:
    """Mode Audit blocks nothing: tampering is told as what would be denied."""
    with guarded.box(AUDITED) as box:
        assert box.run("/bin/kill", "-CONT", str(AGENT)).status == 0
        assert rules(box) == {("bulkhead", "agent", "Tampering", "WOULD_DENY")}
