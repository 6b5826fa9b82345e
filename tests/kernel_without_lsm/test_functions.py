"""A kernel without BPF LSM: the agent's commands enforce all the same, by programs on functions, and say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

POLICY = """
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: p}
spec: {exec: {rules: [{action: Deny, paths: [/usr/bin/id]}]}}
"""


def bulkhead(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    command = [sys.executable, "-m", "bulkhead", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


def test_run_denies_what_the_policy_denies_and_nothing_else(tmp_path: Path) -> None:
    """The denied program does not start, its neighbour does, and the violation is told."""
    policy, events = tmp_path / "p.yaml", tmp_path / "events"
    policy.write_text(POLICY)
    command = "/usr/bin/id; echo id: $?; /usr/bin/uname >/dev/null; echo uname: $?"
    done = bulkhead("run", "--policy", str(policy), "--events", str(events), "--", "sh", "-c", command)
    assert done.stdout.split("\n")[:2] == ["id: 126", "uname: 0"], done.stderr
    (violation,) = [json.loads(line) for line in events.read_text().splitlines()]
    assert "/usr/bin/id" in json.dumps(violation)


def test_doctor_says_how() -> None:
    """Exit 0; the last line says that it is by functions, and that BPF LSM would be worth a reboot."""
    done = bulkhead("doctor")
    assert done.returncode == 0
    assert done.stdout.endswith("by programs on functions: at more cost than by LSM hooks.\n")
    assert "Worth mending:\n  BPF LSM active: put lsm=" in done.stdout
