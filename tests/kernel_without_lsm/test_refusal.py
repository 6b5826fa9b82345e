"""A kernel that would load our programs and never call them: nothing is started, nothing is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

POLICY = """
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: p}
spec: {exec: {default: Deny}}
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A folder with one policy."""
    (tmp_path / "p.yaml").write_text(POLICY)
    return tmp_path


def bulkhead(*words: str) -> subprocess.CompletedProcess[str]:
    """The command line."""
    command = [sys.executable, "-m", "bulkhead", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def expect_refusal(done: subprocess.CompletedProcess[str]) -> None:
    """Exit 1, and the message says where to look."""
    assert done.returncode == 1
    assert "without bpf: it cannot enforce" in done.stderr
    assert "`bulkhead doctor` says what is missing" in done.stderr


def test_run_starts_nothing(policies: Path) -> None:
    """The command is not run unprotected."""
    expect_refusal(bulkhead("run", "--policy", str(policies / "p.yaml"), "--", "touch", str(policies / "ran")))
    assert not (policies / "ran").exists()


def test_the_agent_loads_nothing(policies: Path) -> None:
    """No pins, no programs of ours."""
    pins = Path("/sys/fs/bpf/refused")
    expect_refusal(
        bulkhead("agent", "--policies", str(policies), "--cgroup", "/sys/fs/cgroup/x/*", "--pins", str(pins))
    )
    assert not pins.exists()


def test_doctor_says_no() -> None:
    """Exit 1 with the remedy."""
    done = bulkhead("doctor")
    assert done.returncode == 1
    assert "lsm=" in done.stdout
