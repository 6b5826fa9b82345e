"""`exec`: which programs a container may run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kernel.enforcement.box import Bench, policy
from tests.kernel.enforcement.programs import compiled

DENY = policy("""
  exec:
    rules:
    - {name: no-id, action: Deny, paths: ["/usr/bin/id"]}
""")


def test_a_denied_program_does_not_start_and_its_neighbour_does(bench: Bench) -> None:
    """EPERM for the one, everything as usual for the other; the event names the rule, object and actor."""
    with bench.box(DENY) as box:
        assert box.run("/usr/bin/id").status == 126
        assert box.run("/usr/bin/uname").status == 0
        (violation,) = box.violations()
    assert violation["verdict"] == "DENIED"
    assert violation["rule"] == "no-id"
    assert violation["operation"] == "Exec"
    assert violation["object"] == "/usr/bin/id"
    assert violation["process"]["executable"] == str(compiled("enter"))


def test_without_the_rule_the_program_starts(bench: Bench) -> None:
    """The control: the same act is allowed where nothing denies it, and nothing is reported."""
    with bench.box(policy("  exec: {default: Allow}")) as box:
        assert box.run("/usr/bin/id").status == 0
        assert box.violations() == []


def test_a_killed_process_does_not_go_on(bench: Bench) -> None:
    """Kill: the act does not happen and the process that tried ends with SIGKILL."""
    with bench.box(DENY.replace("Deny", "Kill")) as box:
        done = box.sh("/usr/bin/id; echo survived")
        assert done.out.startswith("survived")  # the shell: its child was killed
        assert box.sh("exec /usr/bin/id").status in (-9, 137)
        assert {each["verdict"] for each in box.violations()} == {"KILLED"}


@pytest.mark.parametrize("word", ["Audit", "Enforce"])
def test_audit_reports_and_never_blocks(bench: Bench, word: str) -> None:
    """An Audit rule gives AUDITED, a Deny rule of a policy in mode Audit gives WOULD_DENY; both let the program run."""
    text = DENY.replace("Deny", "Audit") if word == "Enforce" else DENY.replace("  exec:", "  mode: Audit\n  exec:")
    with bench.box(text) as box:
        assert box.run("/usr/bin/id").status == 0
        (violation,) = box.violations()
    assert violation["verdict"] == ("AUDITED" if word == "Enforce" else "WOULD_DENY")


def test_an_allow_list_denies_everything_else(bench: Bench) -> None:
    """With default Deny only what is listed runs; the violation names the default."""
    text = policy("""
  exec:
    default: Deny
    rules:
    - {name: shell, action: Allow, paths: ["/usr/bin/bash", "/usr/bin/uname"]}
""")
    with bench.box(text) as box:
        assert box.run("/usr/bin/uname").status == 0
        assert box.run("/usr/bin/id").status == 126
        (violation,) = box.violations()
    assert violation["rule"] == "default"


def test_a_rule_on_a_link_holds_for_its_target(bench: Bench, tmp_path: Path) -> None:
    """`/bin/id`, where `/bin` is a link to `/usr/bin`, is `/usr/bin/id`; so is a link of one's own."""
    (tmp_path / "alias").symlink_to("/usr/bin/id")
    for path in ("/bin/id", str(tmp_path / "alias")):
        with bench.box(DENY.replace("/usr/bin/id", path)) as box:
            assert box.run("/usr/bin/id").status == 126
            assert box.run("/usr/bin/uname").status == 0


def test_a_script_and_its_interpreter_are_both_judged(bench: Bench, tmp_path: Path) -> None:
    """A script is denied by its own path and by its interpreter's, which may be a script again."""
    script, above = tmp_path / "script", tmp_path / "above"
    script.write_text("#!/usr/bin/dash\necho ran\n")
    above.write_text(f"#!{script}\n")
    for each in (script, above):
        each.chmod(0o755)
    for denied in (str(script), "/usr/bin/dash"):
        with bench.box(DENY.replace("/usr/bin/id", denied)) as box:
            assert box.run(str(script)).status == 126
            assert box.run(str(above)).status == 126
    with bench.box(DENY.replace("/usr/bin/id", str(above))) as box:
        assert box.run(str(above)).status == 126
        assert box.run(str(script)).out == "ran\n"
    with bench.box(DENY) as box:
        assert box.run(str(script)).out == box.run(str(above)).out == "ran\n"


def test_patterns_hold_for_what_appears_later(bench: Bench, tmp_path: Path) -> None:
    """`dir/**`, `*` and `?` cover files made after the policy."""
    with bench.box(DENY.replace("/usr/bin/id", f'{tmp_path}/deep/**", "{tmp_path}/to?l-*')) as box:
        (tmp_path / "deep/er").mkdir(parents=True)
        for name in ("deep/er/x", "tool-1", "other"):
            shutil.copy("/usr/bin/uname", tmp_path / name)
        assert box.run(str(tmp_path / "deep/er/x")).status == 126
        assert box.run(str(tmp_path / "tool-1")).status == 126
        assert box.run(str(tmp_path / "other")).status == 0
