"""Files with several names of which a rule covers one: they are covered under their other names, too.

The kernel judges a file by the name that it is reached by, and refuses new links that would change what is judged. A
link that is older than the policy must be found: so where a container is put under a set, the places that its patterns
speak of are searched for files with more than one link. What is found is judged by all of its covered names at once.

The search goes name by name through what the container sees, as its patterns lead it: a literal element is looked up,
directories are listed only where a pattern has a wildcard. It is bounded in names and time, and runs in a thread of its
own, because a container can mount a file system that never answers. Next step: `enforcement.enforcer` lowers the names
with the set and writes the map `links`.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from bulkhead.node.anchors import RESOLVE_NO_XDEV, mount_id_of, open_in_root
from bulkhead.node.mounts import Mount, join
from bulkhead.policy.pattern_steps import Patterns, Position
from bulkhead.policy.rules import PathRule

SEARCH_NAMES = 50_000  # a second natively
SEARCH_FILES = 1_024  # files found: each costs an entry of the map, of several names a start state, too
SEARCH_S = 5.0
LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "ramfs", "overlay"})

Device = tuple[int, int]
Linked = dict[tuple[Device, int], frozenset[bytes]]


@dataclass
class HardLinks:
    """Covered names of files with more than one link, by device and inode number; whether the search was complete."""

    names: Linked = field(default_factory=dict)
    complete: bool = True


def find_hard_links(root: int, mounts: Iterable[Mount], rules: Iterable[PathRule]) -> HardLinks:
    """Search below the container's root, an open directory. Never raises, and returns within SEARCH_S."""
    patterns = [pattern.encode("utf-8", "surrogateescape") for rule in rules for pattern in rule.patterns]
    search = _Search(os.dup(root), {mount.mount_id: mount for mount in mounts}, Patterns(patterns))
    thread = threading.Thread(target=search.run, name="links", daemon=True)
    thread.start()
    thread.join(SEARCH_S)
    return HardLinks(search.found(), search.complete)


class _Search:
    """One search; `complete` becomes true at its very end."""

    def __init__(self, root: int, mounts: Mapping[int, Mount], patterns: Patterns) -> None:
        self._root, self._mounts, self._patterns = root, mounts, patterns
        self._names: dict[tuple[Device, int], set[bytes]] = {}
        self._left = SEARCH_NAMES
        self.complete = False

    def found(self) -> Linked:
        """What was found by now."""
        return {file: frozenset(names) for file, names in list(self._names.items())}

    def run(self) -> None:
        """Look at everything, the shallow first."""
        waiting = deque([(b"/", self._patterns.start())])
        try:
            while waiting and self._left > 0 and len(self._names) < SEARCH_FILES:
                path, positions = waiting.popleft()
                with contextlib.suppress(OSError):  # gone meanwhile, or not a directory
                    waiting.extend(self._look_into(path, positions))
            self.complete = not waiting and self._left >= 0
        finally:
            os.close(self._root)

    def _look_into(self, path: bytes, positions: frozenset[Position]) -> list[tuple[bytes, frozenset[Position]]]:
        """Note the linked files of a directory; returns what is to be looked into below it."""
        with _opened(self._root, path) as directory:
            if (device := self._device(directory)) is None:
                return []
            below = []
            for name in self._names_in(directory, positions):
                following = self._patterns.after(positions, name)
                if following and self._look_at(directory, name, join(path, b"/" + name), device, following):
                    below.append((join(path, b"/" + name), following))
            return below

    def _names_in(self, directory: int, positions: frozenset[Position]) -> Iterable[bytes]:
        literals = self._patterns.literals(positions)
        if literals is not None:
            self._left -= len(literals)
            return literals
        with os.scandir(b"/proc/self/fd/%d" % directory) as entries:  # by a path, because names are bytes then
            present = [entry.name for entry in islice(entries, self._left + 1)]
        self._left -= len(present)
        return filter(self._patterns.next_names(positions).fullmatch, present)

    def _look_at(
        self, directory: int, name: bytes, path: bytes, device: Device, positions: frozenset[Position]
    ) -> bool:
        """Whether to look into what has this name; a linked file is noted."""
        try:
            with _opened(directory, name, RESOLVE_NO_XDEV) as found:
                return self._note(found, path, device, positions)
        except OSError:
            pass
        try:  # something may be mounted there: looked at only if it is local
            with _opened(self._root, path) as found:
                mounted = self._device(found)
                return mounted is not None and self._note(found, path, mounted, positions)
        except OSError:
            return False

    def _note(self, found: int, path: bytes, device: Device, positions: frozenset[Position]) -> bool:
        status = os.stat(found)
        if stat.S_ISDIR(status.st_mode):
            return True
        if status.st_nlink > 1 and self._patterns.matches(positions):
            self._names.setdefault((device, status.st_ino), set()).add(path)
        return False

    def _device(self, descriptor: int) -> Device | None:
        """The device, as the kernel counts them, of something on a file system that answers by itself."""
        mount = self._mounts.get(mount_id_of(descriptor))
        return mount.device if mount and mount.fstype.decode(errors="replace") in LOCAL else None


@contextlib.contextmanager
def _opened(directory: int, path: bytes, resolve: int = 0) -> Iterator[int]:
    descriptor = open_in_root(directory, path, resolve)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
