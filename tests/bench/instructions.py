"""What enforcement costs, in instructions: run in a guest whose clock counts them. Writes instructions.json.

All situations are measured in one run of one machine, one after another; what is reported is each one's cost, the
differences are taken by `page`. Next step: `acts.c` does the acts, `situations` makes what they are done in.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bulkhead.enforcement.sets import wait_for_programs
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance
from bulkhead.node import cgroups
from bulkhead.policy.rules import PolicyRules
from tests.bench import prepared, situations
from tests.kernel.enforcement.box import Bench, Box, rules_of

ROOT = Path("/tmp/bench")
FILE_RULES = {"policy_few": 10, "policy_many": 1_000, "policy_most": 10_000}
KNOWN = "directory/file"
LAYOUT = Path("/proc/sys/kernel/randomize_va_space")


@dataclass(frozen=True)
class Act:
    """An act of acts.c, how often it is done in a round, how many rounds there are, and where.

    A round is shorter than the time between two ticks of the kernel's clock, so that the least of several has none.
    `path` is one of `situations.make_files`, where each time another file is meant, or lies below ROOT.
    """

    name: str
    count: int
    rounds: int
    path: str = KNOWN

    @property
    def times(self) -> int:
        """Of all rounds together."""
        return self.count * self.rounds


EACH = Act("each", 100, 4, "plain")
LONG = Act("long", 100, 4, "long")
DEEP = Act("deep", 20, 3, "deep")
REFUSED = Act("refused", 25, 4, situations.REFUSED.name)
FIRST = {"each": EACH, "again": EACH, "long": LONG, "deep": DEEP}
ACTS = {
    "open": Act("open", 200, 10),
    **FIRST,
    "create": Act("create", 50, 20),
    "rename": Act("rename", 100, 10),
    "chmod": Act("chmod", 200, 10),
    "pread": Act("pread", 500, 10),
    "pwrite": Act("pwrite", 500, 10),
    "capable": Act("capable", 1000, 10),
    "connect": Act("connect", 5, 60),
    "fork": Act("fork", 1, 256),
    "exec": Act("exec", 1, 256),
}


def policies() -> dict[str, list[PolicyRules]]:
    """What each situation with a policy is under."""
    return {title: rules_of(*situations.our_policies(files)) for title, files in FILE_RULES.items()}


def perform(act: Act, cgroup: Path, files: Path, profile: str = "-") -> float:
    """Instructions an act; `files` are what was made for the situation."""
    path = (files if act in FIRST.values() else ROOT) / act.path
    command = [str(ROOT / "acts"), str(cgroup), profile, act.name, str(act.count), str(act.rounds), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{act.name} failed: {done.stderr}")
    return float(done.stdout)


def measure(title: str, cgroup: Path, profile: str = "-") -> dict[str, float]:
    """Every act that is allowed, once in a situation."""
    began = time.perf_counter()
    costs = {name: perform(act, cgroup, files_of(title), profile) for name, act in ACTS.items()}
    say(f"{title}: {costs} ({time.perf_counter() - began:.1f} guest seconds)")
    return costs


def say(text: str) -> None:
    """Progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def files_of(title: str) -> Path:
    """Where a situation's own files are."""
    return ROOT / f"files-{title}"


def denied(cgroup: Path, profile: str = "-") -> dict[str, float]:
    """What policies forbid, tried where nobody tells of it."""
    costs = [perform(REFUSED, cgroup, ROOT, profile) for _ in range(3)]
    say(f"denied: {costs}")
    return {"denied": costs[-1]}


def denied_and_told(box: Box) -> dict[str, float]:
    """The same where each is told of: one event each time, as each process is another subject.

    By the third time the files have memory.
    """
    costs = []
    for _ in range(3):
        costs.append(perform(REFUSED, box.cgroup.path, ROOT))
        told = len(box.violations())
        if told != REFUSED.times:
            raise RuntimeError(f"of {REFUSED.times} denied opens {told} were told of")
    say(f"denied: {costs}")
    return {"denied": costs[-1]}


Context = Callable[[], AbstractContextManager[None]]
WITHOUT_OURS: dict[str, tuple[Context, str]] = {
    "warm_up": (nullcontext, "-"),  # not reported: a machine that has just started does more for the same act
    "baseline": (nullcontext, "-"),
    "apparmor": (lambda: situations.apparmor(FILE_RULES["policy_few"]), situations.PROFILE),
    "empty_file_open": (lambda: situations.empty_programs(["file_open"]), "-"),
    "empty_all": (lambda: situations.empty_programs(situations.our_hooks()), "-"),
}


@contextmanager
def plain_cgroup() -> Iterator[Path]:
    """A cgroup that no policy selects."""
    cgroup = cgroups.create(cgroups.mount_point() / "bench-plain")
    try:
        yield cgroup.path
    finally:
        cgroups.remove(cgroup.path)


def without_ours(cgroup: Path) -> dict[str, dict[str, float]]:
    """Nothing loaded, AppArmor, empty programs on file_open and on all hooks of ours."""
    costs = {}
    for title, (context, profile) in WITHOUT_OURS.items():
        with context():
            costs[title] = measure(title, cgroup, profile) | denied(cgroup, profile)
        wait_for_programs()
    return costs


def with_ours(cgroup: Path, ready: prepared.Prepared) -> dict[str, dict[str, float]]:
    """Ours loaded: without a policy, and under small and large ones. And what loading costs."""
    began = time.perf_counter()
    instance = load_instance(bundle_for_this_kernel(ROOT / "bundles"))
    loading = {"load": (time.perf_counter() - began) * 1e9}
    say(f"loaded by {loading['load'] / 1e9:.2f} thousand million instructions")
    bench = Bench(instance, ready.build)
    costs = {"loading": loading, "no_policy": measure("no_policy", cgroup) | denied(cgroup)}
    for title in FILE_RULES:
        with bench.box(*ready.rules[title]) as box:
            costs[title] = under_policy(title, box)
            if title == "policy_many":  # what the former policy's container opened has memory, of another epoch
                again = files_of("policy_few")
                costs["policy_changed"] = {name: perform(act, box.cgroup.path, again) for name, act in FIRST.items()}
    bench.instance.close()
    return costs


def under_policy(title: str, box: Box) -> dict[str, float]:
    """Every act in a container under a policy, of which those are told of that are denied, and only those."""
    costs = measure(title, box.cgroup.path)
    if told := box.violations():
        raise RuntimeError(f"an act that should be allowed was not: {told[0]}")
    return costs | denied_and_told(box)


def make_files(titles: Iterable[str]) -> None:
    """What all acts are done to.

    Each situation's own files are made before anything is done: one that got the place in memory of one that is gone
    would pass for known.
    """
    known = ROOT / KNOWN
    known.parent.mkdir(parents=True)
    known.write_text("text\n")
    Path(f"{known}.old").write_text("text\n")
    situations.make_refused(REFUSED.times)
    for title in titles:
        situations.make_files(files_of(title), EACH.times, DEEP.times)


def main(arguments: Iterable[str]) -> None:
    """Measure everything."""
    acts, prepared_file = map(Path, arguments)
    LAYOUT.write_text("0")  # where chance lays stack and libraries decides about thousands of instructions of an exec
    make_files([*WITHOUT_OURS, "no_policy", *FILE_RULES])
    shutil.copy2(acts, ROOT / "acts")
    with plain_cgroup() as cgroup:
        costs = without_ours(cgroup) | with_ours(cgroup, prepared.read(prepared_file))
    result = {"kernel": os.uname().release, "costs": costs}
    Path(os.environ["BULKHEAD_RESULTS"], "instructions.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
