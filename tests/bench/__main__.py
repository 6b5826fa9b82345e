"""`python -m tests.bench`, which `make bench` calls: measures everything and writes docs/benchmarks.md anew.

Progress goes to stderr, the figures to stdout. Not a test: nothing fails because something is slow. `--part NAME`
measures that part anew and takes the others from the last time, or leaves what the page says of them. Next step:
`instructions`, `kernel_memory` and `operation` run in guests, `throughput` here; `page` writes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bulkhead.enforcement.building import StartGroups
from tests.bench import page, prepared

CHECKOUT = Path(__file__).parents[2]
CACHE = CHECKOUT / ".cache/bench"
DOCUMENT = CHECKOUT / "docs/benchmarks.md"
NEEDED = {"gcc": "gcc and libc6-dev", "apparmor_parser": "apparmor", "runc": "runc"}
KERNEL = "6.12"
GUEST_S = 1_200  # three times what the longest takes on an idle machine


def say(text: str) -> None:
    """Progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def compiled_acts() -> Path:
    """The program that does the acts."""
    program = CACHE / "acts"
    source = Path(__file__).with_name("acts.c")
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-static", "-o", program, source], check=True)
    return program


def in_guest(module: str, *options: str, files: Iterable[Path] = ()) -> Any:
    """What a module of ours, run in a guest and given these files, left in its results."""
    command = [sys.executable, "-m", "tools.vm", "run", "--kernel", KERNEL, "--timeout", str(GUEST_S), *options]
    command += ["--results", str(CACHE), "--", "python", "-m", f"tests.bench.{module}", str(compiled_acts())]
    subprocess.run([*command, *map(str, files)], check=True, cwd=CHECKOUT)
    return json.loads((CACHE / f"{module}.json").read_text())


def seen_twice() -> StartGroups:
    """What is at two places in a guest: the kernel's modules."""
    from tools.vm.kernels import fetched  # noqa: PLC0415

    modules = (fetched(KERNEL).folder / "lib/modules").resolve()
    return (frozenset({b"/usr/lib/modules", os.fsencode(modules)}),)


def instructions() -> Any:
    """What enforcement costs, in a machine whose clock counts instructions."""
    from tests.bench import instructions as bench  # noqa: PLC0415

    sets = prepared.write(bench.policies(), seen_twice(), CACHE / "instructions.sets")
    return in_guest("instructions", "--icount", files=[sets])


def kernel_memory() -> Any:
    """What a thousand containers take of the kernel's memory, in an ordinary guest."""
    from tests.bench import kernel_memory as bench  # noqa: PLC0415

    sets = prepared.write(bench.policies(), seen_twice(), CACHE / "kernel_memory.sets")
    return in_guest("kernel_memory", files=[sets])


def operation() -> Any:
    """Load, footprint, latency and memory, in an ordinary guest."""
    before = os.getloadavg()[0]
    return {**in_guest("operation"), "other_load": before}


def throughput() -> Any:
    """Violations from spool to store, on this machine."""
    command = [sys.executable, "-m", "tests.bench.throughput"]
    before = os.getloadavg()[0]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=CHECKOUT)
    return {**json.loads(done.stdout), "other_load": before}


def building() -> Any:
    """Policies of 100 to 10,000 rules, from document to bytes of the maps, on this machine."""
    from tests.bench import building as bench  # noqa: PLC0415

    before = os.getloadavg()[0]
    return {**bench.measured(), "other_load": before}


def compile_s() -> float:
    """Seconds to compile the probes on this machine, the compiler's start included."""
    from bulkhead.kernel.compiler import compile_bundle  # noqa: PLC0415
    from tools.vm.kernels import fetched  # noqa: PLC0415

    btf = fetched(KERNEL).btf
    began = time.perf_counter()
    compile_bundle(btf, CACHE / "compiled.bundle")
    return time.perf_counter() - began


def cluster() -> Any:
    """Install, policy, start and memory in a cluster; images must be built (`make image`)."""
    before = os.getloadavg()[0]
    subprocess.run([sys.executable, "-m", "tests.bench.cluster", str(CACHE)], check=True, cwd=CHECKOUT)
    return {**json.loads((CACHE / "cluster.json").read_text()), "other_load": before}


def scale() -> Any:
    """Thousands of nodes and policies, at an API server on this machine; it must be built (`make test-cluster`)."""
    from tests.bench import scale as bench  # noqa: PLC0415

    before = os.getloadavg()[0]
    return {**bench.measured(), "other_load": before}


def full_node() -> Any:
    """A node of 250 pods, natively, in namespaces of its own; the cluster's programs must be built."""
    before = os.getloadavg()[0]
    command = ["unshare", "--mount", sys.executable, "-m", "tests.bench.full_node", "main", str(CACHE)]
    subprocess.run(command, check=True, cwd=CHECKOUT)
    return {**json.loads((CACHE / "full_node.json").read_text()), "other_load": before}


PARTS: dict[str, Callable[[], Any]] = {
    "compile_s": compile_s,
    "building": building,
    "throughput": throughput,
    "operation": operation,
    "instructions": instructions,
    "kernel_memory": kernel_memory,
    "cluster": cluster,
    "full_node": full_node,
    "scale": scale,
}


def machine() -> str:
    """What this was measured on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    name = model[0].partition(":")[2].strip() if model else "processor unknown"
    return f"{os.cpu_count()} processors ({name}), guests under software emulation"


def main(arguments: list[str]) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser("python -m tests.bench", description="Measures what docs/benchmarks.md reports.")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; the rest is of the last time")
    chosen = parser.parse_args(arguments).part or list(PARTS)
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            say(f"{program} is needed (Debian: {package}); nothing was measured")
            return 1
    CACHE.mkdir(parents=True, exist_ok=True)
    kept = CACHE / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {"dates": {}}
    results["machine"] = machine()
    for name in chosen:
        say(f"measuring {name}")
        began = time.monotonic()
        results[name] = PARTS[name]()
        results["dates"][name] = datetime.datetime.now(datetime.UTC).date().isoformat()
        kept.write_text(json.dumps(results))
        say(f"{name} took {time.monotonic() - began:.0f} s")
    DOCUMENT.write_text(page.rewritten(DOCUMENT.read_text(), results))
    print(page.measured_part(results, {}))
    say(f"written to {DOCUMENT.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
