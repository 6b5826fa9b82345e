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
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bulkhead.enforcement.sets import wait_for_programs
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import load_instance
from bulkhead.node import cgroups
from tests.bench import situations
from tests.kernel.enforcement.box import Bench

ROOT = Path("/tmp/bench")
FEW, MANY = 10, 1000
PLAIN, DEEP = 400, 150


@dataclass(frozen=True)
class Act:
    """An act of acts.c, how often it is done in a round, and how many rounds there are."""

    name: str
    count: int
    rounds: int = 10


REPEATED = (
    Act("open", 2000),
    Act("pread", 5000),
    Act("capable", 5000),
    Act("connect", 60),
    Act("exec", 10),
)
FIRST = (Act("each", PLAIN, 1), Act("deep", DEEP, 1))  # more rounds would not be the first time


def perform(act: Act, cgroup: Path, path: Path, profile: str = "-") -> float:
    """Instructions an act."""
    command = [str(ROOT / "acts"), str(cgroup), profile, act.name, str(act.count), str(act.rounds), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{act.name} failed: {done.stderr}")
    return float(done.stdout)


def measure(title: str, cgroup: Path, profile: str = "-") -> dict[str, float]:
    """Every act once in a situation."""
    began = time.perf_counter()
    folders = situations.make_files(ROOT / f"files-{title}", PLAIN, DEEP)
    known = ROOT / "directory/file"
    costs = {act.name: perform(act, cgroup, known, profile) for act in REPEATED}
    costs |= first_time(cgroup, folders, profile)
    print(f"bench: {title}: {costs} ({time.perf_counter() - began:.1f} guest seconds)", file=sys.stderr, flush=True)
    return costs


def first_time(cgroup: Path, folders: tuple[Path, Path], profile: str = "-") -> dict[str, float]:
    """Each file of folders that `make_files` made, once, and then the first folder's once more."""
    costs = {act.name: perform(act, cgroup, folder, profile) for act, folder in zip(FIRST, folders, strict=True)}
    return costs | {"again": perform(FIRST[0], cgroup, folders[0], profile)}


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
    settings: list[tuple[str, AbstractContextManager[None], str]] = [
        ("warm_up", nullcontext(), "-"),  # not reported: a machine that has just started does more for the same act
        ("baseline", nullcontext(), "-"),
        ("apparmor", situations.apparmor(FEW), situations.PROFILE),
        ("empty_file_open", situations.empty_programs(["file_open"]), "-"),
        ("empty_all", situations.empty_programs(situations.our_hooks()), "-"),
    ]
    costs = {}
    for title, context, profile in settings:
        with context:
            costs[title] = measure(title, cgroup, profile)
        wait_for_programs()
    return costs


def with_ours(cgroup: Path) -> dict[str, dict[str, float]]:
    """Ours loaded: without a policy, and under small and large ones. And what loading costs."""
    began = time.perf_counter()
    instance = load_instance(bundle_for_this_kernel(ROOT / "bundles"))
    loading = {"load": (time.perf_counter() - began) * 1e9}
    bench = Bench(instance)
    costs = {"loading": loading, "no_policy": measure("no_policy", cgroup)}
    for title, rules in (("policy_few", FEW), ("policy_many", MANY)):
        with bench.box(situations.our_policy(rules)) as box:
            costs[title] = measure(title, box.cgroup.path)
            if told := box.violations():
                raise RuntimeError(f"an act that should be allowed was not: {told[0]}")
            if (
                title == "policy_many"
            ):  # what the former policy's container opened; inodes have memory, of another epoch
                costs["policy_changed"] = first_time(box.cgroup.path, situations.folders_in(ROOT / "files-policy_few"))
    bench.instance.close()
    return costs


def main() -> None:
    """Measure everything."""
    acts = Path(sys.argv[1])
    (ROOT / "directory").mkdir(parents=True)
    (ROOT / "directory/file").write_text("text\n")
    shutil.copy2(acts, ROOT / "acts")
    with plain_cgroup() as cgroup:
        costs = without_ours(cgroup) | with_ours(cgroup)
    result = {"kernel": os.uname().release, "costs": costs}
    Path(os.environ["BULKHEAD_RESULTS"], "instructions.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
