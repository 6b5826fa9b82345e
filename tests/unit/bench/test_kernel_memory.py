"""What the kernel's allocator says of itself."""

from __future__ import annotations

from bulkhead.policy.merge import merge
from tests.bench.kernel_memory import RULES, SETS, allocated, policies

SLABINFO = """\
slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables <limit>
dentry             20000  21000    192   21    1 : tunables    0    0    0 : slabdata   1000   1000      0
kmalloc-cg-64        100    128     64   64    1 : tunables    0    0    0 : slabdata      2      2      0
kmalloc-1k            10     16   1024   16    4 : tunables    0    0    0 : slabdata      1      1      0
"""


def test_objects_in_use_count() -> None:
    """Those of kmalloc, and not what is kept for the next."""
    assert allocated(SLABINFO) == 100 * 64 + 10 * 1024


def test_sets_are_different_and_as_large_as_they_say() -> None:
    """No two sets are one."""
    sets = [merge(rules) for rules in policies().values()]
    assert len({each.digest for each in sets}) == SETS
    assert {len(each.statements) for each in sets} == {RULES}
