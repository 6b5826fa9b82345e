"""A short word for a set of versions of policies: the same for the same set, by whichever way it came about.

An agent says with it, in its NodeState, what it had heard of when it looked last; the controller, which hears of the
same versions, knows by it whether an agent that says nothing of a policy has nothing to say. Pure. Next step:
`controller.history`.
"""

from __future__ import annotations

import hashlib


class Seen:
    """A set that only its word is known of. Versions that are added twice are gone: add each once."""

    def __init__(self) -> None:
        self._number = 0

    def add(self, uid: str, generation: int) -> None:
        """A version has come."""
        self._number ^= _number(uid, generation)

    def remove(self, uid: str, generation: int) -> None:
        """A version that was added has gone."""
        self._number ^= _number(uid, generation)

    def word(self) -> str:
        """Of all of them. No two sets that a cluster ever has are likely to have the same: it has 64 bits."""
        return f"{self._number:016x}"


def _number(uid: str, generation: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{uid}/{generation}".encode()).digest()[:8])
