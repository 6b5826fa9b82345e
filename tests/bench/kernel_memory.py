"""The kernel's memory of many containers under few policies, and of an inode: run in a guest.

What maps take they say themselves (`memlock` in fdinfo). What is made for a container (entries of maps, its binding,
its links and lists of programs), and what inodes remember, is what the kernel's allocator (kmalloc) has given out
meanwhile. A container costs as much as the one before it, so some stand for all: in an emulated machine a thousand
would take a quarter of an hour. Writes kernel_memory.json. Next step: `page`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bulkhead import abi, log
from bulkhead.enforcement.enforcer import Enforcer
from bulkhead.enforcement.records import Records
from bulkhead.kernel.bundles import bundle_for_this_kernel
from bulkhead.kernel.instance import Instance, load_instance
from bulkhead.node import cgroups
from bulkhead.node.container import Container
from bulkhead.policy.rules import PolicyRules
from tests.bench import prepared
from tests.bench.operation import memory_locked
from tests.bench.ordinary import ordinary_rules
from tests.bench.situations import OTHER_RULES
from tests.kernel.enforcement.box import policy, rules_of

CONTAINERS, SETS, RULES = 1_000, 20, 100
MEASURED = 50  # after one for each set
FILES = 5_000
ROOT, BELOW = Path("/tmp/bench"), "/srv"


def policies() -> dict[str, list[PolicyRules]]:
    """What containers are under: rules about files, and one each about programs, capabilities and addresses."""
    others = rules_of(policy(OTHER_RULES))
    return {f"set {number}": [*map(_below, ordinary_rules(RULES - 3, number)), *others] for number in range(SETS)}


def _below(rules: PolicyRules) -> PolicyRules:
    """Where no directory is a link, so that the rules are the same on the machine and in the guest."""
    paths = (replace(rule, patterns=tuple(f"{BELOW}{each}" for each in rule.patterns)) for rule in rules.paths)
    return replace(rules, paths=tuple(paths))


def allocated(slabinfo: str) -> int:
    """Bytes that kmalloc has given out, of the text of /proc/slabinfo: name, objects in use, objects, bytes of one."""
    lines = [line.split() for line in slabinfo.splitlines() if line.startswith("kmalloc-")]
    return sum(int(fields[1]) * int(fields[3]) for fields in lines)


def allocated_now() -> int:
    """The same at this moment."""
    return allocated(Path("/proc/slabinfo").read_text())


def map_bytes(instance: Instance) -> int:
    """What all maps say that they take."""
    return sum(memory_locked(instance.maps[each.name].descriptor) for each in abi.MAPS)


def make_containers() -> list[Container]:
    """A cgroup each; what they see is the guest's own root."""
    parent = cgroups.create(cgroups.mount_point() / "bench-memory").path
    made = [cgroups.create(parent / f"{number:04}") for number in range(SETS + MEASURED)]
    return [Container(each.path.name, each.path, each.id, pid=os.getpid()) for each in made]


def of_containers(instance: Instance, enforcer: Enforcer, ready: prepared.Prepared) -> dict[str, float]:
    """Bytes of maps at the start, and what was added by the first container of each set and by each one after them."""
    containers, sets = make_containers(), list(ready.rules.values())
    maps, given = [map_bytes(instance)], [allocated_now()]
    for first, end in ((0, SETS), (SETS, SETS + MEASURED)):
        for number in range(first, end):
            enforcer.enforce(containers[number], sets[number % SETS])
        maps.append(map_bytes(instance))
        given.append(allocated_now())
    added = [max(maps[at + 1] - maps[at], given[at + 1] - given[at]) for at in range(2)]
    return {"maps": maps[0], "set": added[0] / SETS, "container": added[1] / MEASURED}


def of_inodes(acts: Path, cgroup: Path) -> list[float]:
    """Bytes an inode after each of three opens of every file, in a container under a set."""
    folder = ROOT / "plain"
    folder.mkdir(parents=True)
    for number in range(FILES):
        (folder / f"{number:08}").touch()
    words = [str(acts), str(cgroup), "-", "each", str(FILES), "1", str(folder)]
    before, found = allocated_now(), []
    for _ in range(3):
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        found.append((allocated_now() - before) / FILES)
    return found


def main() -> None:
    """Measure everything."""
    log.configure("warning")
    acts, policies_file = map(Path, sys.argv[1:])
    ready = prepared.read(policies_file)
    instance = load_instance(bundle_for_this_kernel(Path("/var/lib/bulkhead/bundles")))
    enforcer = Enforcer(instance, Records(None), ready.build)
    result: dict[str, object] = {**of_containers(instance, enforcer, ready)}
    program = Path(shutil.copy2(acts, "/tmp/acts"))
    result["inode"] = of_inodes(program, enforcer.containers()[0].cgroup)
    result |= {"containers": CONTAINERS, "sets": SETS, "rules": RULES, "kernel": os.uname().release}
    Path(os.environ["BULKHEAD_RESULTS"], "kernel_memory.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
