"""`bulkhead policy explain`: which rule decides, why, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulkhead.cli import main

POLICY = """\
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: web, namespace: shop}
spec:
  files:
    default: Deny
    rules:
    - {name: keys, action: Deny, operations: [Read], paths: ["/keys/**"]}
    - {name: all, action: Allow, operations: [Read], paths: ["/**"]}
  network:
    egress:
      rules:
      - {name: metadata, action: Deny, to: [{cidr: 169.254.169.254/32}]}
    sockets: {rules: [{name: packets, action: Deny, families: [packet], types: [raw, dgram]}]}
  capabilities:
    rules:
    - {name: raw, action: Kill, names: [NET_RAW]}
  operations: {rules: [{name: none, action: Deny, names: [Mount, LoadModule]}]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """One policy."""
    path = tmp_path / "p.yaml"
    path.write_text(POLICY)
    return path


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            ["--path", "/keys/a", "--operation", "Read"],
            """\
Read /keys/a: DENY because an explicit Deny wins: shop/web/files/keys
  p.yaml:9: shop/web/files/all: allows Read of /**
  p.yaml:8: shop/web/files/keys: denies Read of /keys/** ← decides
  p.yaml:6: shop/web/files/default: denies everything of files that no rule matches""",
        ),
        (
            ["--path", "/a", "--operation", "Read"],
            """\
Read /a: ALLOW because nothing denies it and shop/web/files/all allows it
  p.yaml:9: shop/web/files/all: allows Read of /** ← decides
  p.yaml:6: shop/web/files/default: denies everything of files that no rule matches""",
        ),
        (
            ["--path", "/a", "--operation", "Write"],
            """\
Write /a: DENY because no rule decides, and shop/web/files/default is the strictest default
  p.yaml:6: shop/web/files/default: denies everything of files that no rule matches ← decides""",
        ),
        (
            ["--path", "/a", "--operation", "Exec"],
            "Exec /a: ALLOW because no rule matches and there is no default",
        ),
        (
            ["--address", "169.254.169.254", "--port", "80"],
            """\
Egress 169.254.169.254 TCP 80: DENY because an explicit Deny wins: shop/web/network.egress/metadata
  p.yaml:13: shop/web/network.egress/metadata: denies traffic to 169.254.169.254/32 on every port ← decides""",
        ),
        (
            ["--capability", "CAP_NET_RAW"],
            """\
Capability CAP_NET_RAW: KILL because an explicit Kill wins: shop/web/capabilities/raw
  p.yaml:17: shop/web/capabilities/raw: kills the process at capabilities NET_RAW ← decides""",
        ),
        (
            ["--privileged", "LoadModule"],
            """\
LoadModule: DENY because an explicit Deny wins: shop/web/operations/none
  p.yaml:18: shop/web/operations/none: denies Mount, LoadModule ← decides""",
        ),
        (
            ["--socket", "packet/raw"],
            """\
Socket packet/raw: DENY because an explicit Deny wins: shop/web/network.sockets/packets
  p.yaml:14: shop/web/network.sockets/packets: denies sockets of packet and of dgram, raw ← decides""",
        ),
        (["--rule", "shop/web/files/keys"], "p.yaml:8: shop/web/files/keys: denies Read of /keys/**"),
        (
            ["--rule", "/bulkhead/tampering/pins"],
            "built in: /bulkhead/tampering/pins: denies every container under a policy to touch pins of Bulkhead",
        ),
    ],
)
def test_an_access_is_explained(
    path: Path, question: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdict, step of precedence, and every rule that matches with its place in the file."""
    monkeypatch.chdir(path.parent)
    assert main(["policy", "explain", path.name, *question]) == 0
    assert capsys.readouterr().out.rstrip("\n") == said


def test_a_policy_in_mode_audit_is_said_to_block_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what reports is marked."""
    path.write_text(POLICY.replace("spec:", "spec:\n  mode: Audit").replace("action: Allow", "action: Audit"))
    assert main(["policy", "explain", str(path), "--path", "/keys/a", "--operation", "Read"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("Read /keys/a: WOULD_DENY because shop/web/files/keys is of a policy in mode Audit")
    assert second.endswith("← reports")


def test_without_an_operation_each_is_answered(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One object an operation, for programs; the names of the fields are relied upon."""
    assert main(["policy", "explain", str(path), "--path", "/keys/a", "-o", "json"]) == 0
    answers = {answer["operation"]: answer for answer in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {word: answer["verdict"] for word, answer in answers.items()} == {
        "Exec": "ALLOW",
        **dict.fromkeys(["Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map"], "DENY"),
    }
    assert answers["Read"]["rule"] == "shop/web/files/keys"
    assert answers["Read"]["matching"][1] == {
        "rule": "shop/web/files/keys",
        "place": f"{path}:8",
        "action": "Deny",
        "mode": "Enforce",
        "says": "denies Read of /keys/**",
    }


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (["--path", "keys/a"], "not an absolute path"),
        (["--address", "example.com"], "does not appear to be an IPv4 or IPv6 address"),
        (["--capability", "FLY"], "is not a capability"),
        (["--privileged", "Fly"], "is not one of Mount, "),
        (["--socket", "packet"], "is not one of unix, "),
        (["--rule", "shop/web/files/none"], "no rule of these files"),
    ],
)
def test_what_cannot_be_asked_is_said(
    path: Path, question: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong use, exit status 2."""
    assert main(["policy", "explain", str(path), *question]) == 2
    assert reason in capsys.readouterr().err


def test_a_policy_for_processes_of_nodes_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside what its rules mean."""
    path = tmp_path / "p.yaml"
    spec = "{hostProcesses: {cgroups: [/user.slice, /init.scope]}, exec: {default: Audit}}"
    path.write_text(
        f"apiVersion: bulkhead.dev/v1alpha1\nkind: ClusterSecurityPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
    assert main(["policy", "explain", str(path)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == "p holds for processes of nodes in /user.slice, /init.scope, and for no container."
