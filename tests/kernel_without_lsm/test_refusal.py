"""A kernel without BPF LSM that preempts tasks in the kernel: programs on functions might be skipped.

Nothing is started, nothing is loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

WHY = "without bpf, and programs on functions: tasks are preempted in the kernel (full)"
PREEMPTION = Path("/sys/kernel/debug/sched/preempt")
POLICY = """
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: p}
spec: {exec: {default: Deny}}
"""


@pytest.fixture(scope="module", autouse=True)
def preemption() -> Iterator[None]:
    """The kernel takes the processor from tasks that are in it, as long as these tests run."""
    if not PREEMPTION.exists():
        subprocess.run(["mount", "-t", "debugfs", "debugfs", "/sys/kernel/debug"], check=True)
    before = PREEMPTION.read_text().partition("(")[2].partition(")")[0]
    PREEMPTION.write_text("full")
    yield
    PREEMPTION.write_text(before)


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
    assert WHY in done.stderr
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


class NodeStates(BaseHTTPRequestHandler):
    """As much of an API server as takes what is applied."""

    applied: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_PATCH(self) -> None:
        """Keep the object."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.applied.append((self.path.partition("?")[0], body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")


def test_the_agent_in_a_cluster_tells_why(tmp_path: Path) -> None:
    """Its node's NodeState is not ready and says what is missing; nothing is loaded."""
    pins = Path("/sys/fs/bpf/refused")
    with ThreadingHTTPServer(("127.0.0.1", 0), NodeStates) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
        config = {"clusters": [cluster], "users": [{"name": "u", "user": {}}], "contexts": [context]}
        (tmp_path / "config").write_text(json.dumps({**config, "kind": "Config", "current-context": "x"}))
        words = ("--kubeconfig", str(tmp_path / "config"), "--node", "n1", "--state", str(tmp_path / "state"))
        expect_refusal(bulkhead("agent", *words, "--pins", str(pins)))
        server.shutdown()
    path, body = NodeStates.applied[-1]
    assert path == "/apis/bulkhead.dev/v1alpha1/nodestates/n1/status"
    (condition,) = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Ready", "False", "KernelUnable")
    assert WHY in condition["message"]
    assert not pins.exists()


def test_doctor_says_no() -> None:
    """Exit 1 with the reason, and the remedy."""
    done = bulkhead("doctor")
    assert done.returncode == 1
    assert "tasks are preempted in the kernel (full)" in done.stdout
    assert "To mend:\n  BPF LSM active: put lsm=" in done.stdout
