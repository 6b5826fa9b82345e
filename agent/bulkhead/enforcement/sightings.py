"""What a container was ever seen to have mounted, and by which paths each mounted directory is judged. Pure.

What was seen is never forgotten while the container lives. A process inside can change what a look shows: in a mount
namespace of its own, with a covered directory as its root, a covered file lies at another path. So a new look only adds
mounts, and a directory has every path that any of them gives it. Next step: `enforcement.enforcer` writes a start state
for each directory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from bulkhead.errors import DoesNotFit
from bulkhead.node.mounts import Origin, Place, by_origin, paths_of

Paths = Mapping[int, frozenset[bytes]]

# Each costs the set a start state. A container has some 50; a process that keeps mounting is stopped here, and then
# judged by what was known before, which treats later mounts strictly.
MAX_PATHS = 10_000


@dataclass(frozen=True)
class Sightings:
    """Mounts, and the origins of mounted directories by the numbers that their inodes were given."""

    places: frozenset[Place] = frozenset()
    origins: Mapping[int, frozenset[Origin]] = field(default_factory=dict, hash=False)

    def paths(self) -> dict[int, frozenset[bytes]]:
        """Every path of each directory, by number. Raises `DoesNotFit`."""
        mounted = by_origin(self.places)
        found = {
            number: frozenset().union(*(paths_of(device, root, mounted) for device, root in origins))
            for number, origins in self.origins.items()
        }
        count = sum(map(len, found.values()))
        if count > MAX_PATHS:
            raise DoesNotFit("paths under which a container has seen its mounts", count, MAX_PATHS)
        return found


def unite(before: Sightings, now: Sightings) -> Sightings:
    """All that was seen."""
    numbers = before.origins.keys() | now.origins
    nothing: frozenset[Origin] = frozenset()
    origins = {each: before.origins.get(each, nothing) | now.origins.get(each, nothing) for each in numbers}
    return Sightings(before.places | now.places, origins)


def groups(paths: Paths) -> tuple[frozenset[bytes], ...]:
    """The sets of paths by which a directory tree is visible more than once, in a fixed order."""
    return tuple(sorted({each for each in paths.values() if len(each) > 1}, key=sorted))


def signed(image_digest: str, paths: Paths) -> str:
    """Equal where neither the set nor the paths of what the container has seen have changed."""
    digest = hashlib.sha256(image_digest.encode())
    for number, each in sorted(paths.items()):
        digest.update(repr((number, sorted(each))).encode())
    return digest.hexdigest()
