"""What inodes remember is right: where sets share a file, where others move things, where files have several names."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bulkhead import abi
from tests.kernel.enforcement.box import Bench, policy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """covered/ and free/, with a directory and a file in each."""
    for name in ("covered", "free"):
        (tmp_path / name / "directory").mkdir(parents=True)
        for file in ("file", "directory/file"):
            (tmp_path / name / file).write_text(name)
    return tmp_path


def rule(*paths: object, operation: str = "Read", name: str = "p") -> str:
    """A rule on files."""
    listed = ", ".join(f'"{path}"' for path in paths)
    return policy(
        f"""
  files:
    rules: [{{name: r, action: Deny, operations: [{operation}], paths: [{listed}]}}]
""",
        name,
    )


def memories(bench: Bench, path: Path) -> list[abi.InodeMemory]:
    """What an inode remembers; where BPF LSM is not active, what each does: only the kernel knows addresses."""
    inodes = bench.instance.maps["inodes"]
    if not bench.instance.bundle.parameters.bpf_lsm:
        return [abi.InodeMemory.from_buffer_copy(raw) for _, raw in inodes.items()]
    descriptor = os.open(path, os.O_PATH)
    try:
        raw = inodes.get(struct.pack("<i", descriptor))
    finally:
        os.close(descriptor)
    return [abi.InodeMemory.from_buffer_copy(raw)] if raw else []


def epochs(words: Iterable[int]) -> int:
    """Of how many rulings something is remembered."""
    return len({word >> abi.RULING_EPOCH_SHIFT for word in words} - {0})


def move_outside(source: Path, target: Path) -> None:
    """Rename, by a process under no policy."""
    source.rename(target)


def test_two_sets_remember_side_by_side(bench: Bench, tree: Path) -> None:
    """A file that two containers open in turns is answered from memory for both, and right for both."""
    file = tree / "free/file"
    with bench.box(rule(tree / "free/**")) as denied, bench.box(rule(tree / "covered/**", name="q")) as allowed:
        for _ in range(2):
            assert denied.sh(f"cat {file}").denied
            assert allowed.sh(f"cat {file}").status == 0
        assert any(epochs(memory.verdicts) == 2 for memory in memories(bench, file))
        assert any(epochs(memory.directories) == 2 for memory in memories(bench, file.parent))


def test_a_file_remembers_from_the_second_open_on(bench: Bench, tree: Path) -> None:
    """Most are opened once only; so does its directory, which is passed once."""
    file = tree / "free/directory/file"
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cat {file}").status == 0
        if bench.instance.bundle.parameters.bpf_lsm:  # else that of all inodes is seen
            assert not memories(bench, file)
            assert not memories(bench, file.parent)
        assert box.sh(f"cat {file}").status == 0
        assert any(any(memory.directories) for memory in memories(bench, file.parent))
        assert any(any(memory.verdicts) for memory in memories(bench, file))


def seen(bench: Bench) -> list[int]:
    """The tags of what was opened or passed."""
    raw = bench.instance.maps["seen"].get(struct.pack("<I", 0))
    assert raw
    return list(struct.unpack(f"<{len(raw) // 4}I", raw))


def test_nothing_is_remembered_below_what_is_not(bench: Bench, tree: Path) -> None:
    """Whoever moves a directory finds on it that something below remembers. Here another took its place in `seen`."""
    if not bench.instance.bundle.parameters.bpf_lsm:
        pytest.skip("what one inode remembers is not seen from outside")
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cat {tree}/free/file && cat {tree}/free/file").status == 0  # cat itself is seen
        for number in range(2):
            file = tree / f"free/{number}/file"
            file.parent.mkdir()
            file.write_text("x")
            before = seen(bench)
            assert box.sh(f"cat {file}").status == 0
            tags = seen(bench)
            changed = [index for index, tag in enumerate(tags) if tag != before[index]]
            assert len(changed) == 2
            tags[changed[number]] = 0
            bench.instance.maps["seen"].put(struct.pack("<I", 0), struct.pack(f"<{len(tags)}I", *tags))
            assert box.sh(f"cat {file}").status == 0
            assert memories(bench, file) == []
            assert box.sh(f"cat {file}").status == 0
            assert any(any(memory.directories) for memory in memories(bench, file.parent))
            assert any(any(memory.verdicts) for memory in memories(bench, file))


def test_what_moved_below_a_new_directory_moves_with_it(bench: Bench, tree: Path) -> None:
    """Nobody has passed the new one before; somebody under no policy then moves it to where it means something else."""
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cd {tree}/free; cat directory/file directory/file; mkdir new; mv directory new").status == 0
        move_outside(tree / "free/new", tree / "covered/new")
        assert box.sh(f"cat {tree}/covered/new/directory/file").denied


def test_a_directory_that_others_move_is_judged_where_it_is(bench: Bench, tree: Path) -> None:
    """Into the covered place, out of it, and by moving a directory above: what was remembered below is forgotten."""
    free, covered = tree / "free/directory", tree / "covered/directory"
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cat {free}/file").status == 0
        assert box.sh(f"cat {covered}/file").denied
        move_outside(free, tree / "covered/moved")
        assert box.sh(f"cat {tree}/covered/moved/file").denied
        move_outside(covered, tree / "free/moved")
        assert box.sh(f"cat {tree}/free/moved/file").status == 0
        move_outside(tree / "covered", tree / "elsewhere")
        assert box.sh(f"cat {tree}/elsewhere/moved/file").status == 0


def test_only_moves_that_matter_forget(bench: Bench, tree: Path) -> None:
    """A directory of which nothing is remembered, and one that its own container moves within one meaning."""
    moves = bench.instance.maps["moves"]
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cat {tree}/free/directory/file").status == 0
        before = moves.get(struct.pack("<I", 0))
        (tree / "unknown").mkdir()
        move_outside(tree / "unknown", tree / "unknown2")
        assert box.sh(f"mv {tree}/free/directory {tree}/free/renamed && cat {tree}/free/renamed/file").status == 0
        assert moves.get(struct.pack("<I", 0)) == before
        move_outside(tree / "free/renamed", tree / "free/directory")
        assert moves.get(struct.pack("<I", 0)) != before


def test_a_file_that_others_move_or_link_is_judged_by_its_name(bench: Bench, tree: Path) -> None:
    """Renamed into the covered place and out of it, and linked there."""
    free, covered = tree / "free/file", tree / "covered/file"
    with bench.box(rule(tree / "covered/**")) as box:
        assert box.sh(f"cat {free}").status == 0
        assert box.sh(f"cat {covered}").denied
        move_outside(free, tree / "covered/moved")
        move_outside(covered, tree / "free/moved")
        assert box.sh(f"cat {tree}/covered/moved").denied
        assert box.sh(f"cat {tree}/free/moved").status == 0
        (tree / "covered/linked").hardlink_to(tree / "free/moved")
        assert box.sh(f"cat {tree}/covered/linked").denied


@pytest.fixture
def forgetful(tmp_path: Path) -> Iterator[Path]:
    """The tree on an overlay, whose inodes go when nobody has them open; those of tmpfs stay."""
    lower, upper, work, merged = (tmp_path / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "none", merged], check=True)
    for name in ("covered", "free"):
        (merged / name / "directory").mkdir(parents=True)
        for file in ("file", "directory/file"):
            (merged / name / file).write_text(name)
    yield merged
    subprocess.run(["umount", merged], check=True)


def evict(mounted: Path) -> None:
    """Every inode of a file system that nobody has open leaves the cache: mounting it anew drops its names."""
    subprocess.run(["mount", "-o", "remount", mounted], check=True)


def test_older_links_are_covered_by_every_name(bench: Bench, forgetful: Path) -> None:
    """Also after the inode has left the cache. A linked file without a covered name is not covered."""
    older, free, single = forgetful / "free/older", forgetful / "free", forgetful / "free/directory/file"
    older.hardlink_to(forgetful / "covered/file")
    (free / "also").hardlink_to(free / "file")
    with bench.box(rule(forgetful / "covered/**")) as box:
        assert box.sh(f"cat {older}").denied
        assert box.sh(f"cat {free}/also && cat {free}/file && cat {single} && cat {single}").status == 0
        before = sum(any(memory.verdicts) for memory in memories(bench, single))
        assert before
        evict(forgetful)
        assert sum(any(memory.verdicts) for memory in memories(bench, single)) < before
        assert box.sh(f"cat {older}").denied
        assert box.sh(f"mv {older} {free}/newer").denied
        assert box.sh(f"rm {free}/also && cat {free}/file").status == 0
    with bench.box(rule(forgetful / "covered/directory/**")) as box:
        assert box.sh(f"cat {older}").status == 0


def test_the_links_of_a_container_go_with_it(bench: Bench, tree: Path) -> None:
    """Entries are of one ruling: a change of policy replaces them, the end of the box removes them."""
    (tree / "free/older").hardlink_to(tree / "covered/file")
    with bench.box(rule(tree / "covered/**")) as box:
        assert len(list(bench.instance.maps["links"])) == 1
        assert box.apply(rule(tree / "covered/**", operation="Write"))
        assert len(list(bench.instance.maps["links"])) == 1
        assert box.sh(f"echo x > {tree}/free/older").denied
        assert box.sh(f"cat {tree}/free/older").status == 0
    assert list(bench.instance.maps["links"]) == []


def test_a_file_system_is_unmounted_although_it_is_remembered(bench: Bench, tmp_path: Path) -> None:
    """Memory holds no inode: what was judged can be removed and its file system unmounted."""
    subprocess.run(["mount", "-t", "tmpfs", "none", str(tmp_path)], check=True)
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory/file").write_text("x")
    with bench.box(rule(tmp_path / "covered/**")) as box:
        assert box.sh(f"cat {tmp_path}/directory/file && rm -r {tmp_path}/directory").status == 0
        subprocess.run(["umount", str(tmp_path)], check=True)
