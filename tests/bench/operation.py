"""How the agent does on a running kernel: time to load, footprint, latency of a violation, memory. Run in a guest.

The guest is emulated and ten to thirty times slower than the machine, so its seconds are upper bounds. Writes
operation.json. Next step: `page` says what the figures mean.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bulkhead import abi
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import Instance, load_instance, remove_instance
from bulkhead.kernel.libbpf import object_info
from bulkhead.node import cgroups
from tests.kernel.enforcement.box import policy
from tools.demo.programs import Program
from tools.demo.stage import wait_for_port

COLLECTOR = "127.0.0.1:17444"
PINS = Path("/sys/fs/bpf/bulkhead-bench")
FILES = Path("/tmp/bench/secrets")
DENIALS, WARM_UP = 100, 5
START_S, EVENT_S = 90.0, 30.0


def load() -> tuple[Instance, dict[str, float]]:
    """An instance, and the seconds it took: to find the bundle in the cache, and to load and attach it."""
    began = time.perf_counter()
    bundle = bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles"))
    found = time.perf_counter()
    instance = load_instance(bundle)
    return instance, {"bundle_s": found - began, "load_s": time.perf_counter() - found}


def footprint(instance: Instance) -> dict[str, Any]:
    """Of each program the instructions after translation and as the verifier visited them, and bytes as machine code.

    Of each map the kernel's memory. Offsets are those of struct bpf_prog_info in include/uapi/linux/bpf.h.
    """
    programs = {}
    for name, descriptor in instance.programs.items():
        raw = object_info(descriptor)
        jited_bytes, translated_bytes = struct.unpack_from("<II", raw, 16)
        (verified,) = struct.unpack_from("<I", raw, 216)
        programs[name] = {"instructions": translated_bytes // 8, "verified": verified, "jited_bytes": jited_bytes}
    maps = {each.name: memory_locked(instance.maps[each.name].descriptor) for each in abi.MAPS}
    return {"programs": programs, "map_bytes": maps}


def memory_locked(descriptor: int) -> int:
    """Bytes of kernel memory that a map takes."""
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines()
    return int(dict(line.split(":\t") for line in lines)["memlock"])


def memory_of(pid: int) -> dict[str, Any]:
    """A process's resident memory now and at most, MiB, and whether LLVM is mapped in it."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    sizes = {name: int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM", "RssAnon")}
    maps = Path(f"/proc/{pid}/maps").read_text()
    return {**sizes, "llvm_mapped": "LLVM" in maps or "libbcc" in maps}


class Stage:
    """Collector, agent, subscriber, and a workload that opens what it is told to."""

    def __init__(self, ends: contextlib.ExitStack, scratch: Path, acts: Path) -> None:
        self._ends = ends
        self._scratch = scratch
        FILES.mkdir(parents=True)
        parent = cgroups.create(cgroups.mount_point() / "bulkhead-bench")
        cgroup = cgroups.create(parent.path / "workload")
        ends.callback(cgroups.remove, parent.path)
        ends.callback(remove_instance, PINS)
        collector = self._program("collector", "--listen", COLLECTOR, "--store", str(scratch / "store"))
        wait_for_port(COLLECTOR, START_S, collector)
        self.agent = self._agent(f"{parent.path}/*")
        self.events = self._program("events", "--follow", "-o", "json", "--collector", COLLECTOR)
        shutil.copy2(acts, scratch / "acts")
        words = [str(scratch / "acts"), str(cgroup.path), "-", "stdin", "0", "0"]
        self._workload = subprocess.Popen(words, stdin=subprocess.PIPE, text=True)
        ends.callback(self._workload.communicate)

    def _program(self, *words: str) -> Program:
        program = Program(list(words), self._scratch / f"{words[0]}.log")
        self._ends.callback(program.end)
        return program

    def _agent(self, pattern: str) -> Program:
        policies = self._scratch / "policies"
        policies.mkdir()
        (policies / "bench.yaml").write_text(
            policy(f"""  files:
    rules:
    - {{name: secrets, action: Deny, operations: [Read], paths: ["{FILES}/**"]}}
""")
        )
        words = ["--policies", str(policies), "--cgroup", pattern, "--collector", COLLECTOR, "--pins", str(PINS)]
        agent = self._program("agent", *words, "--state", str(self._scratch / "state"), "--node", "bench")
        agent.wait_for_log("agent_ready", START_S)
        return agent

    def latency_ms(self, number: int) -> float:
        """From the kernel's denial of an open to the line in the subscriber's terminal. Each time another file."""
        assert self._workload.stdin
        path = FILES / f"{number:04}"
        path.touch()
        self._workload.stdin.write(f"{path}\n")
        self._workload.stdin.flush()
        line = self.events.line(EVENT_S)
        read = time.time()
        violation = json.loads(line or "{}")
        if path.name not in str(violation.get("object")):
            raise RuntimeError(f"no violation of {path} arrived, but {line!r}:\n{self.agent.log()}")
        return (read - datetime.fromisoformat(violation["time"]).timestamp()) * 1000


def latency(acts: Path) -> dict[str, Any]:
    """Latency of one violation after another, milliseconds, and the agent's memory before and after them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, contextlib.ExitStack() as ends:
        stage = Stage(ends, Path(scratch), acts)
        print("bench: agent, collector and subscriber are up", file=sys.stderr, flush=True)
        for number in range(WARM_UP):
            stage.latency_ms(number)
        at_rest = memory_of(stage.agent.running.pid)
        in_order = [stage.latency_ms(WARM_UP + number) for number in range(DENIALS)]
        after = memory_of(stage.agent.running.pid)
    taken = sorted(in_order)
    percentiles = statistics.quantiles(taken, n=100, method="inclusive")
    return {
        "latencies_ms": in_order,
        "latency_ms": {"median": percentiles[49], "p99": percentiles[98], "least": taken[0], "most": taken[-1]},
        "agent_at_rest": at_rest,
        "agent_after": after,
    }


def main() -> None:
    """Measure everything."""
    instance, seconds = load()
    result = {"kernel": os.uname().release, "load": seconds, **footprint(instance)}
    instance.close()
    print(f"bench: loaded in {seconds['load_s']:.2f} s", file=sys.stderr, flush=True)
    result |= latency(Path(sys.argv[1]))
    Path(os.environ["BULKHEAD_RESULTS"], "operation.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
