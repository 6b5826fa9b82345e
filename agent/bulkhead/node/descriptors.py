"""How many files this process may have open: what takes many of them leaves the others theirs.

Next step: `node.lives` and `enforcement.roots` take a part each.
"""

from __future__ import annotations

import resource
import sys


def may_be_open() -> int:
    """The limit that holds now (getrlimit(2))."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else sys.maxsize
