"""Where paths lead in a container, followed link by link below its root and never out of it.

What does not exist yet is kept as it is written: a rule may name a file that appears later. The container may change
links while they are read: each is opened below the root without following any other (openat2), so that the worst that
comes of it is an answer that was true a moment ago. An image may hold chains of links that take hours to follow: what
is known is asked once, and `MOST_STEPS` are taken in all. Next step: `bulkhead.enforcement.localise`.
"""

from __future__ import annotations

import os

from bulkhead.log import get_log
from bulkhead.node.anchors import open_in_root
from bulkhead.policy.patterns import PATH_BYTES

MOST_STEPS = 200_000  # elements looked at: a second. A policy of 10,000 rules in a container has some 20,000
_MOST_LINKS = 40  # as the kernel: MAXSYMLINKS of include/linux/namei.h

log = get_log()


class Links:
    """The symbolic links below one open directory `root`, as they are at the first look at each."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._targets: dict[tuple[bytes, bytes], bytes | None] = {}
        self._followed: dict[bytes, bytes] = {}  # directories as they are written in paths that were asked for
        self._steps = 0

    def follow(self, path: bytes) -> bytes:
        """The path without links that `path` (absolute) leads to below the root.

        A chain of over 40 links ends where it is, as the kernel would refuse it. When all steps are used up, so does
        every path that was not asked for before; that is logged. What would become longer than a path can be stays as
        it is written.
        """
        parent, _, name = path.rstrip(b"/").rpartition(b"/")
        if not name:
            return b"/"
        written = [parent]
        while written[-1] and written[-1] not in self._followed:
            written.append(written[-1].rpartition(b"/")[0])
        reached = self._followed.get(written.pop(), b"")
        while written:
            directory = written.pop()
            reached = self._followed[directory] = self._walk(reached, [directory.rpartition(b"/")[2]])
        found = self._walk(reached, [name]) or b"/"
        return found if len(found) <= PATH_BYTES else path

    def _walk(self, reached: bytes, waiting: list[bytes]) -> bytes:
        """Where the elements of `waiting`, the next one last, lead from `reached`, which has no links; `""` is "/"."""
        links = 0
        while waiting and len(reached) <= PATH_BYTES:
            element = waiting.pop()
            if element in (b"", b"."):
                continue
            if element == b"..":
                reached = reached.rpartition(b"/")[0]
                continue
            target = self._target(reached, element)
            if target is None or links == _MOST_LINKS:
                reached = b"/".join((reached, element))
                continue
            links += 1
            if target.startswith(b"/"):
                reached = b""
            waiting += target.split(b"/")[::-1]
        return reached

    def _target(self, directory: bytes, element: bytes) -> bytes | None:
        """What an element points to; None where it is no link, not there, or not looked at any more."""
        self._steps += 1
        if self._steps >= MOST_STEPS:
            if self._steps == MOST_STEPS:
                log.warning("links_not_followed", file=os.fsdecode(b"/".join((directory, element))), limit=MOST_STEPS)
            return None
        known = (directory, element)
        if known not in self._targets:
            self._targets[known] = self._read(b"/".join(known))
        return self._targets[known]

    def _read(self, path: bytes) -> bytes | None:
        try:
            descriptor = open_in_root(self._root, path)
        except OSError:
            return None
        try:
            return os.readlink(b"", dir_fd=descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)
