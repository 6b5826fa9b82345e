"""`bulkhead policy validate`: one line a policy and a problem, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkhead.cli import main

GOOD = """\
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: web, namespace: shop}
spec:
  exec: {default: Deny}
"""
CLUSTER = GOOD.replace("kind: S", "kind: ClusterS").replace(", namespace: shop", "")
BAD = GOOD.replace("name: web", "name: bad").replace("Deny", "deny")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two good documents and, between them, a bad one."""
    path = tmp_path / "policies.yaml"
    path.write_text("---\n".join([GOOD, BAD, CLUSTER]))
    return path


def test_each_document_has_its_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Good ones with kind and name, bad ones with field, message and remedy; one bad document is exit status 2."""
    assert main(["policy", "validate", str(path)]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:1: ok SecurityPolicy shop/web",
        f"{path}:13: ok ClusterSecurityPolicy web",
        f"{path}:11: spec.exec.default: deny is not one of its words (did you mean Deny?)",
    ]


def test_programs_read_one_object_a_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The names of the fields are relied upon."""
    assert main(["policy", "validate", "-o", "json", str(path)]) == 2
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"file": str(path), "line": 1, "policy": "shop/web", "ok": True},
        {"file": str(path), "line": 13, "policy": "web", "ok": True},
        {
            "file": str(path),
            "line": 11,
            "field": "spec.exec.default",
            "message": "deny is not one of its words",
            "remedy": "did you mean Deny?",
            "policy": "shop/bad",
        },
    ]


def test_all_good_is_exit_status_0(tmp_path: Path) -> None:
    """Nothing wrong anywhere."""
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(CLUSTER)
    assert main(["policy", "validate", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]) == 0


def test_a_policy_that_explodes_is_refused_as_the_agent_would(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the pattern, the number and the limit; the others are good."""
    spec = f'  files:\n    rules: [{{action: Deny, operations: [Read], paths: ["/d/*a{"?" * 40}"]}}]\n'
    path.write_text("---\n".join([GOOD.replace("  exec: {default: Deny}\n", spec), CLUSTER]))
    assert main(["policy", "validate", str(path)]) == 2
    good, bad = capsys.readouterr().out.splitlines()
    assert good == f"{path}:8: ok ClusterSecurityPolicy web"
    assert bad.startswith(f"{path}:4: spec: does not fit: ")
    assert "/d/*a????" in bad
    assert "the limit is" in bad
