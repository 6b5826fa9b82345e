"""Cgroups, launching and anchors against the guest's kernel."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkhead.errors import BulkheadError
from bulkhead.kernel import bpf_syscall as bpf
from bulkhead.node import cgroups
from bulkhead.node.anchors import open_anchors, watch_mounts
from bulkhead.node.launch import launch
from bulkhead.node.mounts import by_origin, paths_of, places, views

ROOT = Path("/sys/fs/cgroup")


@pytest.fixture
def cgroup() -> Iterator[Path]:
    path = cgroups.create(ROOT / "bulkhead-test-launch").path
    yield path
    cgroups.remove(path)


def nothing(_pid: int) -> None:
    pass


def test_hierarchy_is_found() -> None:
    """The guest has the unified hierarchy alone."""
    assert cgroups.mount_point() == ROOT


def test_id_is_the_inode_number(cgroup: Path) -> None:
    """The id from the file handle is what stat gives, and differs for a cgroup that was made again."""
    first = cgroups.cgroup_id(cgroup)
    assert first == cgroup.stat().st_ino
    cgroup.rmdir()
    assert cgroups.create(cgroup).id != first


def test_command_is_in_the_cgroup_from_its_first_instruction(cgroup: Path, tmp_path: Path) -> None:
    """The command and its children are in the cgroup, and the child was already when the policy was bound."""
    seen = []
    output = tmp_path / "own"
    script = f"cat /proc/self/cgroup > {output}; (cat /proc/self/cgroup) >> {output}"
    launched = launch(["sh", "-c", script], cgroup, lambda pid: seen.append(cgroups.of_process(pid)))
    assert launched.wait() == 0
    assert seen == [Path("/") / cgroup.name]
    assert output.read_text().splitlines() == [f"0::/{cgroup.name}"] * 2
    assert cgroups.of_process(os.getpid()) != seen[0]


def test_status_is_exact(cgroup: Path) -> None:
    """Exit statuses and signals come through unchanged."""
    statuses = {"exit 3": 3, "kill -SEGV $$": 139, "no-such-command": 127}
    assert {script: launch(["sh", "-c", script], cgroup, nothing).wait() for script in statuses} == statuses


def test_removal_kills_what_is_left_below(cgroup: Path) -> None:
    """Processes in the cgroup and in a child of it end, and both are gone; a second removal is fine."""
    (cgroup / "a" / "b").mkdir(parents=True)
    processes = []
    for place in (cgroup, cgroup / "a" / "b"):
        process = subprocess.Popen(["sleep", "1000"])
        (place / "cgroup.procs").write_text(str(process.pid))
        processes.append(process)
    cgroups.remove(cgroup)
    assert [process.wait() for process in processes] == [-9, -9]
    assert not cgroup.exists()
    cgroups.remove(cgroup)


def test_removing_the_root_is_refused() -> None:
    """Where the kernel will not have a cgroup killed nothing changes, and the message says so."""
    with pytest.raises(BulkheadError, match="stay"):
        cgroups.remove(ROOT)
    assert (ROOT / "cgroup.procs").exists()


def test_watch_sees_real_cgroups(cgroup: Path) -> None:
    """A cgroup under the pattern appears with its id and vanishes with it; one made again is another."""
    watch = cgroups.Watch(f"{cgroup}/*")
    assert watch.look().appeared == ()
    (cgroup / "x").mkdir()
    (first,) = watch.look().appeared
    (cgroup / "x").rmdir()
    (cgroup / "x").mkdir()
    change = watch.look()
    assert change.vanished == (first,)
    assert [found.path for found in change.appeared] == [cgroup / "x"]


def in_new_mount_namespace(commands: str) -> subprocess.Popen[bytes]:
    """A shell in a mount namespace of its own that runs `commands`, says so with a line, and waits for its stdin."""
    script = f'{commands}\necho ready\nread -r again && eval "$again" && echo again\nread -r _'
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-ec", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mounts below tmp_path: data (tmpfs), bound (its directory x), hidden under another tmpfs, and a bound file."""
    process = in_new_mount_namespace(
        f"""cd {tmp_path}; mkdir data bound hidden; touch file
        mount -t tmpfs one data; mkdir data/x; echo > data/f
        mount --bind data/x bound; mount --bind data/f file
        mount -t tmpfs two hidden; mount -t tmpfs three hidden"""
    )
    yield process
    process.kill()
    process.communicate()


def test_anchors_are_the_mounted_directories(namespace: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """Each view opens as what the other process sees there; the one under another mount is told, not confused."""
    with watch_mounts(namespace.pid) as watch:
        table = watch.table()
    base = os.fsencode(tmp_path)
    mounted = by_origin(places(table))
    with open_anchors(namespace.pid, views(table)) as anchors:
        by_root = {(anchor.view.root, anchor.view.mount_point): anchor for anchor in anchors.opened}
        bound = by_root[b"/x", base + b"/bound"]
        assert paths_of(bound.view.device, bound.view.root, mounted) == {base + b"/bound", base + b"/data/x"}
        assert os.path.sameopenfile(bound.fd, os.open(f"/proc/{namespace.pid}/root{tmp_path}/data/x", os.O_PATH))
        file = by_root[b"/f", base + b"/file"].view
        assert paths_of(file.device, file.root, mounted) == {base + b"/file", base + b"/data/f"}
        hidden = [each.view for each in anchors.unopened if each.view.mount_point == base + b"/hidden"]
        assert len(hidden) == 1
        assert by_root[b"/", base + b"/hidden"].view.device != hidden[0].device


def test_anchor_addresses_inode_storage(namespace: subprocess.Popen[bytes]) -> None:
    """A descriptor opened for its path only is accepted as the key of inode storage."""
    if "bpf" not in Path("/sys/kernel/security/lsm").read_text().strip().split(","):
        pytest.skip("without bpf in lsm= inodes have no storage")
    with watch_mounts(namespace.pid) as watch:
        found = views(watch.table())
    with (
        open_anchors(namespace.pid, found) as anchors,
        bpf.loaded_btf() as btf,
        bpf.loaded_map(bpf.MapType.INODE_STORAGE, (4, 4, 0), bpf.NO_PREALLOC, btf) as storage,
    ):
        assert anchors.opened
        for number, anchor in enumerate(anchors.opened):
            bpf.update_element(storage, anchor.fd, number)


def test_watch_tells_a_changed_table(namespace: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A mount made in the watched process's namespace is reported once, and the table then has it."""
    with watch_mounts(namespace.pid) as watch:
        assert not watch.changed()
        assert namespace.stdin is not None
        assert namespace.stdout is not None
        namespace.stdin.write(f"mount -t tmpfs four {tmp_path}/data/x\n".encode())
        namespace.stdin.flush()
        assert namespace.stdout.readline() == b"again\n"
        assert watch.changed(timeout_s=60)
        assert not watch.changed()
        assert os.fsencode(tmp_path) + b"/data/x" in {mount.mount_point for mount in watch.table()}
