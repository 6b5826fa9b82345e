"""`python -m tests.stress`, in a guest, which `make stress` calls: does what leaks would come of, for twenty minutes.

Each round is a container of its own: file trees are built and removed, files opened in parallel, programs started in a
storm, acts denied, while its policy is replaced again and again. Then the container ends, and what is left is measured:
entries of maps, room in them, memory of the kernel and of this process, which is the agent's part. After the first
rounds all of it must be flat. Next step: `measure`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance
from tests.kernel.enforcement.box import Bench, Box, policy
from tests.stress.measure import Sample, grown, sample

ROUNDS = 20
ROUND_S = 60.0
CHANGE_S = 0.5
SETTLED = 3  # rounds until caches are as full as they get

WORK = {
    "tree": "while :; do mkdir -p t/{a,b,c}/{1..9}/x && touch t/{a,b,c}/{1..9}/x/{f,g} && mv t/a t/d && rm -rf t; done",
    "opens": "while :; do for f in many/*; do : < $f; done; done",
    "more opens": "while :; do for f in many/*; do : < $f; done; done",
    "execs": "while :; do /bin/true; (exec /bin/true) & wait; done",
    "denied": "while :; do for f in secret/*; do : < $f; done; /usr/bin/id; echo x > secret/new; done",
    "names": "while :; do for n in {1..50}; do echo x > n$RANDOM && ln n* l$n; rm -f n* l*; done; done",
}
_numbers = count()


def main() -> int:
    """Print a line a round; 1 where something grew."""
    parser = argparse.ArgumentParser("python -m tests.stress")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float, default=ROUND_S, help="of a round")
    arguments = parser.parse_args()
    bench = Bench(load_instance(bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles"))))
    samples: list[Sample] = []
    for number in range(arguments.rounds):
        changes = _round(bench, arguments.seconds)
        samples.append(sample(bench))
        print(f"round {number + 1}: {changes} changes of policy; {samples[-1]}", flush=True)
    found = grown(samples[min(SETTLED, len(samples) - 1)], samples[-1])
    print("\n".join(found) or "nothing grew")
    return 1 if found else 0


def _round(bench: Bench, seconds: float) -> int:
    """One container's life; how often its policy was replaced."""
    with tempfile.TemporaryDirectory(prefix="stress-", dir="/tmp") as folder:
        for name in ("many", "secret"):
            Path(folder, name).mkdir()
            for number in range(100):
                Path(folder, name, str(number)).touch()
        with bench.box(_policy(folder)) as box:
            workers = [_start(box, folder, script) for script in WORK.values()]
            changes = _change_policies(box, folder, time.monotonic() + seconds)
            _check_alive(workers)
        for worker in workers:
            worker.wait()
    return changes


def _start(box: Box, folder: str, script: str) -> subprocess.Popen[bytes]:
    join = f"echo $$ > {box.cgroup.path}/cgroup.procs || exit 99; {script}"
    quiet = subprocess.DEVNULL
    return subprocess.Popen(["/bin/bash", "-c", join], cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet)


def _change_policies(box: Box, folder: str, until: float) -> int:
    changes = 0
    while time.monotonic() < until:
        changes += box.apply(_policy(folder))
        box.violations()
        time.sleep(CHANGE_S)
    return changes


def _check_alive(workers: list[subprocess.Popen[bytes]]) -> None:
    ended = [script for script, worker in zip(WORK, workers, strict=True) if worker.poll() is not None]
    assert not ended, f"work that ended by itself: {ended}"


def _policy(folder: str) -> str:
    """Another one each time, that says the same of the work."""
    number = next(_numbers)
    return policy(f"""
  exec:
    rules: [{{name: id, action: Deny, paths: ["/usr/bin/id"]}}]
  files:
    rules:
    - {{name: secret, action: Deny, operations: [Read, Write, Create], paths: ["{folder}/secret/**"]}}
    - {{name: other, action: Audit, operations: [Read], paths: ["/other/{number}/*/x{number % 7}*"]}}
  network:
    egress: {{rules: [{{action: Deny, to: [{{cidr: "198.51.{number % 256}.0/24"}}]}}]}}
""")


if __name__ == "__main__":
    sys.exit(main())
