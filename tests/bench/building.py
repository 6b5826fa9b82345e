"""`python -m tests.bench.building COUNT...`: what a policy of so many ordinary rules costs until it is in the maps.

From the text of the document to the bytes that are copied into the kernel, stage by stage, on this machine and in one
process each, so that memory is that of one size. Next step: `page` writes it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from bulkhead.enforcement import placement
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PathRule
from tests.bench.ordinary import ordinary_rules

COUNTS = (100, 1_000, 10_000)
HEAD = "apiVersion: bulkhead.dev/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: web, namespace: shop}\n"
ANYWHERE = placement.Placement(set_id=1, arena=1, slots=0, outcome=1, outcomes=0, peer_class=1, classes=0)
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
    slots = timed("place_s", lambda: placement.place_slots(image, ANYWHERE))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**seconds, "bytes_a_rule": len(slots) / count, "outcomes": len(image.outcomes), "peak_mib": peak_mib}


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
