"""What the demo shows, on the machine or in the VM: real agent, collector and subscriber, a workload in its cgroup.

Each forbidden act stands beside an allowed neighbour. Ends with 1 where something that should be seen was not.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bulkhead.kernel.instance import remove_instance
from bulkhead.node import cgroups
from tools.demo.programs import Program

POLICY = Path("examples/demo.yaml")
PINS = Path("/sys/fs/bpf/bulkhead-demo")
COLLECTOR = "127.0.0.1:17443"
FILES = Path("/tmp/demo")  # the policy names it
FORBIDDEN_PORT, ALLOWED_PORT = 9001, 9000
EVENT_S = 30.0
START_S = 90.0


@dataclass(frozen=True)
class Act:
    """Something a workload does. `event` is in the subscriber's line where it is forbidden."""

    title: str
    forbidden: str
    allowed: str
    event: str


ACTS = (
    Act("a program", "/usr/bin/whoami", "/usr/bin/uname -s", "whoami"),
    Act("a file", f"cat {FILES}/secrets/token", f"cat {FILES}/public/readme", "secrets/token"),
    Act(
        "a connection",
        f"exec 3<>/dev/tcp/127.0.0.1/{FORBIDDEN_PORT}",
        f"exec 3<>/dev/tcp/127.0.0.1/{ALLOWED_PORT}",
        str(FORBIDDEN_PORT),
    ),
    Act("a capability", f"chown 1 {FILES}/public/readme", f"chmod 600 {FILES}/public/readme", "CHOWN"),
)


class Stage:
    """The demo's pieces. `failures` says what was not seen."""

    def __init__(self, scratch: Path) -> None:
        self.failures: list[str] = []
        self._scratch = scratch
        self._cgroup = cgroups.mount_point() / "bulkhead-demo"
        self._policies = scratch / "policies"
        self._policies.mkdir()
        shutil.copy(POLICY, self._policies)

    def play(self) -> None:
        """Everything, in order."""
        with contextlib.ExitStack() as ends:
            self._prepare(ends)
            say("collector and agent start")
            store = str(self._scratch / "store")
            collector = self._program(ends, ["collector", "--listen", COLLECTOR, "--store", store], "collector")
            agent = self._program(ends, self._agent_words(), "agent")
            wait_for_port(COLLECTOR, START_S, collector)
            events = self._program(ends, ["events", "--follow", "--collector", COLLECTOR], "events", "  event │ ")
            agent.wait_for_log("agent_ready", START_S)
            for act in ACTS:
                self._show(act, events)
            self._without_agent(ends, agent, events)

    def _prepare(self, ends: contextlib.ExitStack) -> None:
        for name, text in (("secrets/token", "secret"), ("public/readme", "hello")):
            path = FILES / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")
        ends.callback(shutil.rmtree, FILES)
        for port in (FORBIDDEN_PORT, ALLOWED_PORT):
            ends.enter_context(socket.create_server(("127.0.0.1", port)))
        ends.callback(cgroups.remove, self._cgroup)
        cgroups.create(self._cgroup)
        cgroups.create(self._cgroup / "workload")
        ends.callback(remove_instance, PINS)

    def _agent_words(self) -> list[str]:
        pattern = f"{self._cgroup}/*"
        words = ["agent", "--policies", str(self._policies), "--cgroup", pattern, "--collector", COLLECTOR]
        return [*words, "--pins", str(PINS), "--state", str(self._scratch / "state"), "--node", "demo-node"]

    def _program(self, ends: contextlib.ExitStack, words: list[str], name: str, prefix: str = "") -> Program:
        program = Program(words, self._scratch / f"{name}.log", prefix)
        ends.callback(program.end)
        return program

    def _show(self, act: Act, events: Program) -> None:
        say(f"{act.title} that the policy forbids, and its neighbour")
        self._expect_denied(act)
        status, output = self._workload(act.allowed)
        print(f"  $ {act.allowed}\n    {output}  [status {status}]", flush=True)
        if status != 0:
            self.failures.append(f"{act.title}: the allowed neighbour failed: {output}")
        self._expect_event(act, events)

    def _expect_denied(self, act: Act) -> None:
        status, output = self._workload(act.forbidden)
        print(f"  $ {act.forbidden}\n    {output}  [status {status}]", flush=True)
        if status == 0 or "Operation not permitted" not in output:
            self.failures.append(f"{act.title}: was not denied")

    def _expect_event(self, act: Act, events: Program) -> None:
        line = events.line(EVENT_S)
        if act.event not in line:
            self.failures.append(f"{act.title}: its violation did not arrive (got {line!r})")

    def _without_agent(self, ends: contextlib.ExitStack, agent: Program, events: Program) -> None:
        say("the agent is killed with -9; the policy stays in the kernel")
        agent.kill()
        act = ACTS[1]
        self._expect_denied(act)
        if line := events.line(1.0):
            self.failures.append(f"a violation arrived without an agent: {line!r}")
        say("the agent comes back, and tells what happened meanwhile")
        (self._scratch / "agent.log").write_text("")
        self._program(ends, self._agent_words(), "agent").wait_for_log("agent_ready", START_S)
        self._expect_event(act, events)

    def _workload(self, command: str) -> tuple[int, str]:
        """Run a command in the workload's cgroup; its status, and what it printed on one line."""
        script = f"echo $$ > {self._cgroup}/workload/cgroup.procs; {command}"
        result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)
        return result.returncode, " ".join((result.stdout + result.stderr).split())


def say(text: str) -> None:
    """A headline."""
    print(f"\n── {text}", flush=True)


def wait_for_port(address: str, timeout_s: float, program: Program) -> None:
    """Until somebody listens."""
    host, _, port = address.partition(":")
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and program.running.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nobody listens on {address}:\n{program.log()}")


def main() -> int:
    """Play, and say what was not seen."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-demo-") as scratch:
        stage = Stage(Path(scratch))
        stage.play()
    for failure in stage.failures:
        print(f"NOT SEEN: {failure}", flush=True)
    return 1 if stage.failures else 0


if __name__ == "__main__":
    sys.exit(main())
