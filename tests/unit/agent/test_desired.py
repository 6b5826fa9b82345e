"""Policies from a folder: changes are followed, a broken file keeps what it said before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bulkhead.agent.desired import Labels, PolicyFolder

GOOD = """
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: NAME}
spec:
  podSelector: {matchLabels: {app: web}}
  exec: {rules: [{name: r, action: Deny, paths: [/x]}]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> PolicyFolder:
    """A folder with one policy, read once."""
    write(tmp_path, "a", GOOD)
    made = PolicyFolder(tmp_path, Labels())
    assert made.read()
    return made


def write(directory: Path, name: str, text: str) -> None:
    """A policy file that looks changed."""
    path = directory / f"{name}.yaml"
    path.write_text(text.replace("NAME", name))
    os.utime(path, ns=(path.stat().st_mtime_ns + 1_000_000, path.stat().st_mtime_ns + 1_000_000))


def names(folder: PolicyFolder) -> list[str]:
    """Which policies there are."""
    return [rules.paths[0].reference.policy for rules in folder.rules()]


def test_files_come_change_and_go(folder: PolicyFolder, tmp_path: Path) -> None:
    """A second read says whether anything changed."""
    assert not folder.read()
    write(tmp_path, "b", GOOD)
    assert folder.read()
    assert names(folder) == ["a", "b"]
    (tmp_path / "a.yaml").unlink()
    assert folder.read()
    assert names(folder) == ["b"]


def test_a_broken_file_keeps_what_it_said(folder: PolicyFolder, tmp_path: Path) -> None:
    """Until it is mended; the others are not touched."""
    write(tmp_path, "b", GOOD)
    folder.read()
    write(tmp_path, "a", GOOD.replace("Deny", "Denny"))
    assert not folder.read()
    assert names(folder) == ["a", "b"]
    write(tmp_path, "a", GOOD.replace("/x", "/y"))
    assert folder.read()
    assert folder.rules()[0].paths[0].patterns == ("/y",)


def test_a_file_with_patterns_that_explode_keeps_what_it_said(folder: PolicyFolder, tmp_path: Path) -> None:
    """It is refused before it takes the old one's place; beside it another document is good."""
    exploding = GOOD.replace("/x", f"'/d/*a{'?' * 40}'")
    write(tmp_path, "a", exploding)
    assert not folder.read()
    assert folder.rules()[0].paths[0].patterns == ("/x",)
    write(tmp_path, "b", exploding + "---" + GOOD.replace("NAME", "good"))
    assert folder.read()
    assert names(folder) == ["a", "good"]


def test_a_file_that_was_never_good_leaves_its_good_documents(tmp_path: Path) -> None:
    """One bad document refuses itself only."""
    write(tmp_path, "a", GOOD + "---" + GOOD.replace("Deny", "Denny").replace("NAME", "bad"))
    folder = PolicyFolder(tmp_path, Labels())
    assert folder.read()
    assert names(folder) == ["a"]


def test_what_cannot_be_read_ends_nothing(folder: PolicyFolder, tmp_path: Path) -> None:
    """A folder that is called like a policy, or a link to nowhere: refused, and the others stay."""
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "nowhere.yaml").symlink_to("/no/such/file")
    folder.read()
    assert names(folder) == ["a"]


def test_labels_are_consulted_where_given(tmp_path: Path) -> None:
    """Selectors count only then."""
    write(tmp_path, "a", GOOD)
    for labels, expected in (({"app": "web"}, ["a"]), ({"app": "db"}, [])):
        folder = PolicyFolder(tmp_path, Labels(labels))
        folder.read()
        assert names(folder) == expected


def test_a_broken_file_keeps_what_it_said_over_a_restart(tmp_path: Path) -> None:
    """The last good version is kept on disk, and goes with its file."""
    policies, accepted = tmp_path / "policies", tmp_path / "accepted"
    policies.mkdir()
    write(policies, "a", GOOD)
    PolicyFolder(policies, Labels(), accepted).read()
    write(policies, "a", GOOD.replace("Deny", "Denny"))
    restarted = PolicyFolder(policies, Labels(), accepted)
    restarted.read()
    assert names(restarted) == ["a"]
    (policies / "a.yaml").unlink()
    assert restarted.read()
    assert list(accepted.iterdir()) == []
    write(policies, "a", GOOD.replace("Deny", "Denny"))
    restarted = PolicyFolder(policies, Labels(), accepted)
    restarted.read()
    assert names(restarted) == []


def test_a_folder_that_went_removes_nothing(tmp_path: Path) -> None:
    """A mount that is late or lost is not a wish to allow everything."""
    policies = tmp_path / "policies"
    policies.mkdir()
    write(policies, "a", GOOD)
    folder = PolicyFolder(policies, Labels())
    folder.read()
    policies.rename(tmp_path / "elsewhere")
    assert not folder.read()
    assert names(folder) == ["a"]
    (tmp_path / "elsewhere").rename(policies)
    (policies / "a.yaml").unlink()
    assert folder.read()
    assert names(folder) == []
