"""`files`: each operation is denied by every way to do it, and by no other operation's rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kernel.enforcement import file_acts
from tests.kernel.enforcement.box import Bench, Box, policy

OPERATIONS = ("Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map")


def rule(tree: Path, operations: str, action: str = "Deny") -> str:
    """A rule on everything below covered/."""
    return policy(f"""
  files:
    rules:
    - {{name: r, action: {action}, operations: [{operations}], paths: ["{tree}/covered/**"]}}
""")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """covered/ is under the rule, free/ is the neighbour; both have the files of every act."""
    for name in ("covered", "free"):
        (tmp_path / name).mkdir()
        file_acts.prepare(str(tmp_path / name))
    return tmp_path


def do_all(box: Box, directory: Path) -> dict[str, str]:
    """What comes of each act in a directory."""
    done = box.run("python3", "-S", file_acts.__file__, str(directory))
    assert done.status == 0, done
    return {str(name): str(error) for name, error in json.loads(done.out).items()}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_is_denied_by_every_way_to_do_it(bench: Bench, tree: Path, operation: str) -> None:
    """Exactly the acts that are (also) this operation fail, with EPERM; beside the covered directory all work."""
    with bench.box(rule(tree, operation)) as box:
        results = do_all(box, tree / "covered")
        failed = {name: error for name, error in results.items() if error}
        meant = {name: "EPERM" for name, (operations, _) in file_acts.ACTS.items() if operation in operations}
        assert failed == meant, box.violations()
        assert {(each["operation"], each["rule"]) for each in box.violations()} == {(operation, "r")}
        assert set(do_all(box, tree / "free").values()) == {""}
        assert box.violations() == []


def test_a_rule_that_names_no_operation_is_about_all(bench: Bench, tree: Path) -> None:
    """Every act fails, whatever operation it is; beside the covered directory all work."""
    every = rule(tree, "").replace("operations: [], ", "")
    with bench.box(every) as box:
        assert set(do_all(box, tree / "covered").values()) == {"EPERM"}
        assert {each["rule"] for each in box.violations()} == {"r"}
        assert set(do_all(box, tree / "free").values()) == {""}
    with bench.box(every.replace("Deny", "Audit")) as box:
        assert set(do_all(box, tree / "covered").values()) == {""}
        assert {each["operation"] for each in box.violations()} == {*OPERATIONS}


def test_audit_reports_every_way_and_denies_none(bench: Bench, tree: Path) -> None:
    """An Audit rule on all operations: everything works, and each operation is told."""
    with bench.box(rule(tree, ", ".join(OPERATIONS), "Audit")) as box:
        assert set(do_all(box, tree / "covered").values()) == {""}
        assert {each["operation"] for each in box.violations()} == {*OPERATIONS}


def test_what_the_kernel_does_in_passing_is_not_judged(bench: Bench, tree: Path) -> None:
    """Writing to a set-user-id program ends that bit, which is not the writer's Attributes; O_TRUNC is one Write."""
    program = tree / "covered/open_to_write"
    program.chmod(0o4755)
    with bench.box(rule(tree, "Attributes")) as box:
        assert box.sh(f"echo x >> {program}").status == 0
    assert program.stat().st_mode & 0o7777 == 0o755 or program.stat().st_mode & 0o7777 == 0o4755
    with bench.box(rule(tree, "Write", "Audit")) as box:
        assert box.sh(f": > {program}").status == 0
        assert sum(each["count"] for each in box.violations()) == 1
