"""Where a path leads in a container, followed link by link below its root and never out of it.

What does not exist yet is kept as it is written: a rule may name a file that appears later. Next step:
`bulkhead.enforcement.localise`.
"""

from __future__ import annotations

import os

_MOST_LINKS = 40  # as the kernel: MAXSYMLINKS of include/linux/namei.h


def follow(root: int, path: bytes) -> bytes:
    """The path without links that `path` (absolute) leads to below the open directory `root`.

    A chain of over 40 links ends where it is, as the kernel would refuse it.
    """
    waiting = [element for element in path.split(b"/") if element][::-1]
    reached: list[bytes] = []
    links = 0
    while waiting:
        element = waiting.pop()
        if element == b".":
            continue
        if element == b"..":
            del reached[-1:]
            continue
        target = _link(root, [*reached, element])
        if target is None or links == _MOST_LINKS:
            reached.append(element)
            continue
        links += 1
        if target.startswith(b"/"):
            reached.clear()
        waiting += [each for each in target.split(b"/") if each][::-1]
    return b"/" + b"/".join(reached)


def _link(root: int, elements: list[bytes]) -> bytes | None:
    """What the last element points to; None where it is no link or not there. The others are not links."""
    try:
        return os.readlink(b"/".join(elements), dir_fd=root)
    except OSError:
        return None
