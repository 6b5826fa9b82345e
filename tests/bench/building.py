"""`python -m tests.bench.building COUNT...`: what a policy of so many ordinary rules costs until it is in the maps.

From the text of the document to maps of this machine's kernel, which no program reads, stage by stage, each size in a
process of its own, so that memory is its own. Next step: `page` writes it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from bulkhead.enforcement.sets import Sets
from bulkhead.kernel.maps import create_maps
from bulkhead.kernel.plan import Parameters
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PathRule
from tests.bench.ordinary import ordinary_rules

COUNTS = (100, 1_000, 10_000)
HEAD = "apiVersion: bulkhead.dev/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: web, namespace: shop}\n"
T = TypeVar("T")


def measured(counts: Iterable[int] = COUNTS) -> dict[str, Any]:
    """Every size in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.building"]
    done = {n: subprocess.run([*command, str(n)], check=True, capture_output=True, text=True).stdout for n in counts}
    return {str(count): json.loads(text) for count, text in done.items()}


def build(count: int) -> dict[str, float]:
    """Seconds of each stage, bytes of slots a rule, and MiB of memory at most."""
    text = document(count)
    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], T]) -> T:
        began = time.process_time()
        result = work()
        seconds[stage] = time.process_time() - began
        return result

    parsed = timed("parse_s", lambda: parse_text(text, "bench"))
    assert not parsed.problems, parsed.problems
    policy_set = timed("merge_s", lambda: merge(map(resolve, parsed.policies)))
    image = timed("lower_s", lambda: lower(policy_set))
    sets = Sets(create_maps(Parameters(cgroup_storage=True)))
    timed("store_s", lambda: sets.use(image))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    slot_bytes = image.automaton.slots.itemsize * len(image.automaton.slots)
    return {**seconds, "bytes_a_rule": slot_bytes / count, "outcomes": len(image.outcomes), "peak_mib": peak_mib}


def document(count: int) -> str:
    """The rules as people write them: 10,000 are as many as one section may have."""
    rules = [_rule(rule) for policy in ordinary_rules(count) for rule in policy.paths]
    return f"{HEAD}spec:\n  podSelector: {{}}\n  files:\n    rules:\n" + "".join(rules)


def _rule(rule: PathRule) -> str:
    operations = ", ".join(operation.name.capitalize() for operation in sorted(rule.operations))
    paths = ", ".join(f'"{pattern}"' for pattern in rule.patterns)
    return f"    - {{action: {rule.action.name.capitalize()}, operations: [{operations}], paths: [{paths}]}}\n"


if __name__ == "__main__":
    print(json.dumps(build(int(sys.argv[1]))))
