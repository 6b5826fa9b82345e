"""`files`: Read, Write and Create by path, whatever the name by which a file is reached."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, policy


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """covered/f is under the rule, free/f is the neighbour."""
    for name in ("covered/sub/f", "covered/f", "free/f"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    return tmp_path


def rule(tree: Path, operations: str = "Read, Write, Create", action: str = "Deny") -> str:
    """A rule on everything below covered/."""
    return policy(f"""
  files:
    rules:
    - {{name: r, action: {action}, operations: [{operations}], paths: ["{tree}/covered/**"]}}
""")


@pytest.mark.parametrize(
    ("operation", "script"),
    [
        ("Read", "cat {}/f"),
        ("Read", "cat {}/sub/f"),
        ("Write", "echo x >> {}/f"),
        ("Write", ": > {}/f"),
        ("Create", "echo x > {}/new"),
        ("Create", "mkdir {}/dir"),
        ("Create", "ln -s x {}/symlink"),
        ("Create", "mknod {}/pipe p"),
        ("Create", "ln {}/../free/f {}/hard"),
    ],
)
def test_each_operation_is_denied_and_only_there(bench: Bench, tree: Path, operation: str, script: str) -> None:
    """The act is denied below covered/, allowed beside it, and allowed there without its operation in the rule."""
    (tree / "free/sub").mkdir()
    (tree / "free/sub/f").write_text("text\n")
    covered, free = (script.replace("{}", str(tree / name)) for name in ("covered", "free"))
    with bench.box(rule(tree, operation)) as box:
        assert box.sh(covered).denied
        assert {(each["operation"], each["rule"]) for each in box.violations()} == {(operation, "r")}
        assert box.sh(free).status == 0
        assert box.violations() == []
    others = ", ".join({"Read", "Write", "Create"} - {operation})
    with bench.box(rule(tree, others)) as box:
        done = box.sh(covered)
        assert not done.denied or operation == "Create", done  # a hard link into covered/ changes how a file is judged


def test_a_denied_creation_leaves_nothing(bench: Bench, tree: Path) -> None:
    """The file is not there afterwards, not even empty."""
    with bench.box(rule(tree, "Create")) as box:
        assert box.sh(f"echo x > {tree}/covered/new").denied
    assert not (tree / "covered/new").exists()


def test_the_verdict_is_remembered_and_stays_right(bench: Bench, tree: Path) -> None:
    """The second open of a file, answered from memory, is judged like the first; so is one by another process."""
    with bench.box(rule(tree)) as box:
        for _ in range(3):
            assert box.sh(f"cat {tree}/free/f").status == 0
            assert box.sh(f"cat {tree}/covered/f").denied


ALIASES = {
    "relative": "cd {t}/covered/sub && cat ../f",
    "symlink": "ln -s {t}/covered/f {t}/alias && cat {t}/alias",
    "proc-cwd": "cd {t}/covered && cat /proc/self/cwd/f",
    "proc-root": "cat /proc/self/root{t}/covered/f",
    "chroot": "chroot {t}/covered /bin/cat /f",
    "bind": "unshare -m sh -c 'mount --bind {t}/covered {t}/free && cat {t}/free/f'",
    "bind-file": "unshare -m sh -c 'mount --bind {t}/covered/f {t}/free/f && cat {t}/free/f'",
    "move-mount": "unshare -m sh -c 'mount --bind {t}/covered {t}/covered && mount --make-private {t}/covered && "
    "mount --move {t}/covered {t}/free && cat {t}/free/f'",
}


@pytest.mark.parametrize("way", [way for way in ALIASES if way != "chroot"])
def test_aliases_do_not_help(bench: Bench, tree: Path, way: str) -> None:
    """A covered file stays covered by every other name; the same way works without the rule."""
    script = ALIASES[way].format(t=tree)
    with bench.box(rule(tree, "Read")) as box:
        assert box.sh(script).denied
    subprocess.run(["rm", "-f", str(tree / "alias")], check=True)
    with bench.box(rule(tree / "elsewhere", "Read")) as box:
        assert box.sh(script).out == "text\n"


@pytest.mark.parametrize("way", ["mv {t}/covered/f {t}/free/g", "ln {t}/covered/f {t}/free/g"])
def test_a_file_cannot_move_to_where_it_is_judged_differently(bench: Bench, tree: Path, way: str) -> None:
    """Renaming or linking a covered file out is denied; within one meaning both work."""
    with bench.box(rule(tree, "Read")) as box:
        assert box.sh(way.format(t=tree)).denied
        assert box.sh(f"mv {tree}/free/f {tree}/free/g && ln {tree}/free/g {tree}/free/h").status == 0
        assert box.sh(f"mv {tree}/covered/f {tree}/covered/g").status == 0
        assert box.sh(f"cat {tree}/covered/g").denied


def test_a_directory_that_is_judged_differently_is_copied(bench: Bench, tree: Path) -> None:
    """rename(2) of the directory fails with EXDEV, on which mv copies what may be read; afterwards it is covered."""
    with bench.box(rule(tree, "Write")) as box:
        assert box.sh(f"mv {tree}/free {tree}/covered/free").status != 0
        assert box.sh(f"mv {tree}/free {tree}/free2").status == 0


def test_names_are_bytes(bench: Bench, tree: Path) -> None:
    """A name that is not UTF-8 is judged, and told with the bytes escaped."""
    name = os.fsencode(tree / "covered") + b"/n\xff\n"
    Path(os.fsdecode(name)).write_text("x")
    with bench.box(rule(tree, "Read")) as box:
        assert box.sh(f"cat {tree}/covered/n*").denied
        (violation,) = box.violations()
    assert violation["object"].endswith("/covered/n\\xff\\n") or "\\xff" in violation["object"]


def test_long_names_and_deep_trees(bench: Bench, tree: Path) -> None:
    """Names of every length around the pieces they are read in, and 60 levels, are judged right."""
    deep = tree / "covered" / "/".join(["d"] * 50)
    deep.mkdir(parents=True)
    names = [f"{'n' * (length - 1)}x" for length in (1, 31, 32, 33, 63, 64, 65, 200, 255)]
    for name in names:
        (deep / name).write_text("x")
        (tree / "free" / name).write_text("x")
    with bench.box(
        policy(f"""
  files:
    rules:
    - {{name: r, action: Deny, operations: [Read], paths: ["{tree}/covered/**/{"n" * 254}x", "{tree}/covered/**/*x"]}}
""")
    ) as box:
        for name in names:
            assert box.sh(f"cat {deep}/{name}").denied, len(name)
            assert box.sh(f"cat {tree}/free/{name}").status == 0, len(name)


def test_a_path_too_long_to_report_keeps_its_end(bench: Bench, tree: Path) -> None:
    """What does not fit in a record is the beginning; a path that fits is whole."""
    names = [letter * 200 for letter in "abcdef"]
    rule = policy(f"""
  files:
    rules: [{{name: r, action: Deny, operations: [Read], paths: ["{tree}/covered/**"]}}]
""")
    with bench.box(rule) as box:
        (tree / "covered").joinpath(*names).mkdir(parents=True)
        for depth, cut in ((2, False), (6, True)):
            file = (tree / "covered").joinpath(*names[:depth], "file")
            file.write_text("x")
            assert box.sh(f"cd {file.parent} && cat file").denied  # cat's arguments are reported, too, and short
            (violation,) = box.violations()
            assert violation["truncated"] is cut
            beginning, kept = violation["object"][:4], violation["object"][4:]
            assert beginning == (".../" if cut else str(file)[:4])
            assert str(file).endswith(kept)
            assert len(kept) > 500 or not cut
