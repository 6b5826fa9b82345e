"""A node for tests: the real agent and the real collector as programs, and cgroups to put under policies."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tools.demo.programs import Program
from tools.demo.stage import wait_for_port

ADDRESS = "127.0.0.1:17500"
START_S = 600.0  # loading takes an emulated machine half a minute, and a busy one minutes


def start_collector(directory: Path) -> Program:
    """A collector that keeps what it gets in `directory`."""
    store = str(directory / "store")
    collector = Program(["collector", "--listen", ADDRESS, "--store", store], directory / "collector.log")
    wait_for_port(ADDRESS, START_S, collector)
    return collector


def end(program: Program) -> int:
    """SIGTERM; its exit status."""
    program.end()
    return program.running.wait()


class Node:
    """One agent's surroundings below `directory`, which it is called after; cgroups below `cgroup`; pins in `pins`."""

    def __init__(self, directory: Path, cgroup: Path, pins: Path) -> None:
        self.directory, self.cgroup, self.pins = directory, cgroup, pins
        self.policies = directory / "policies"
        self.policies.mkdir(parents=True)
        self._agents = 0

    def start_agent(self) -> Program:
        """Start the agent and wait until it is ready. Its log is agent-N.log."""
        self._agents += 1
        command = ["agent", "--policies", str(self.policies), "--cgroup", f"{self.cgroup}/*", "--collector", ADDRESS]
        command += ["--state", str(self.directory / "state"), "--pins", str(self.pins), "--node", self.directory.name]
        agent = Program(command, self.log)
        agent.wait_for_log("agent_ready", START_S)
        return agent

    @property
    def log(self) -> Path:
        """The log of the agent that was started last."""
        return self.directory / f"agent-{self._agents}.log"

    def run(self, name: str, script: str) -> subprocess.CompletedProcess[str]:
        """A bash script in one of the cgroups."""
        join = f"echo $$ > {self.cgroup}/{name}/cgroup.procs || exit 99; {script}"
        return subprocess.run(["bash", "-c", join], capture_output=True, text=True, timeout=START_S, check=False)

    def until(self, name: str, script: str, status: int) -> None:
        """Run it again and again until it ends with `status`: a change has come through."""
        deadline = time.monotonic() + START_S
        while (done := self.run(name, script)).returncode != status:
            assert time.monotonic() < deadline, (done, self.log.read_text()[-3000:])
            time.sleep(0.1)

    def until_logged(self, event: str) -> None:
        """Until the agent has said so."""
        deadline = time.monotonic() + START_S
        while event not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.1)


def events(count: int) -> list[dict[str, Any]]:
    """The first `count` violations at the collector, waited for."""
    command = [sys.executable, "-m", "bulkhead", "events", "--collector", ADDRESS, "--follow", "-o", "json"]
    done = subprocess.run(
        [*command, "--count", str(count)], capture_output=True, text=True, timeout=START_S, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def all_events() -> list[dict[str, Any]]:
    """Every violation and gap that the collector has now."""
    command = [sys.executable, "-m", "bulkhead", "events", "--collector", ADDRESS, "--since", "1h", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]
