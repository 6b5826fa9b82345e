"""`capabilities`: the use of one that a process holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, policy


def rule(action: str, names: str = "CHOWN", default: str = "Allow") -> str:
    """One rule."""
    return policy(f"""
  capabilities:
    default: {default}
    rules: [{{name: r, action: {action}, names: [{names}]}}]
""")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A file to change."""
    path = tmp_path / "f"
    path.write_text("x")
    return path


def test_a_denied_capability_is_refused_and_others_work(bench: Bench, target: Path) -> None:
    """chown(2) needs CHOWN and is denied; chmod(2) of one's own file needs none; chroot needs another."""
    with bench.box(rule("Deny")) as box:
        assert box.run("chown", "1", str(target)).denied
        (violation,) = box.violations()
        assert box.run("chmod", "600", str(target)).status == 0
        assert box.run("chroot", "/", "/bin/true").status == 0
        assert box.violations() == []
    assert (violation["operation"], violation["object"], violation["verdict"]) == ("Capability", "CHOWN", "DENIED")


def test_without_the_rule_it_works(bench: Bench, target: Path) -> None:
    """The control."""
    with bench.box(rule("Deny", "SYS_TIME")) as box:
        assert box.run("chown", "1", str(target)).status == 0


def test_an_allow_list(bench: Bench, target: Path) -> None:
    """default Deny with an explicit Allow."""
    with bench.box(rule("Allow", "CHOWN", "Deny")) as box:
        assert box.run("chown", "1", str(target)).status == 0
        assert box.run("chroot", "/", "/bin/true").denied


def test_kill_and_audit(bench: Bench, target: Path) -> None:
    """Kill ends the process, Audit only tells."""
    with bench.box(rule("Kill")) as box:
        assert box.run("chown", "1", str(target)).status in (-9, 137)
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}
    with bench.box(rule("Audit")) as box:
        assert box.run("chown", "1", str(target)).status == 0
        assert {each["verdict"] for each in box.violations()} == {"AUDITED"}
