"""Who has heard of which version of a policy: words of agents against those that the controller's own watch has had.

All watches of one kind tell the same changes in the same order, so the word for what an agent knew (`policy.seen`) is
one that was true here at some moment, and the agent has heard of all that came before. Words of long ago are forgotten;
an agent that says one is taken to have heard of nothing new. Pure. Next step: `controller.state`.
"""

from __future__ import annotations

from bulkhead.policy.seen import Seen

KEPT = 10_000  # changes: minutes of the busiest cluster


class History:
    """The changes of one kind of policy. A moment is a number that grows with each."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._moments: dict[str, int] = {self._seen.word(): 0}
        self._versions: dict[str, tuple[int, int]] = {}
        self._now = 0

    def put(self, uid: str, generation: int) -> None:
        """A policy has come, or has another generation."""
        known = self._versions.get(uid)
        if known and known[0] == generation:
            return
        if known:
            self._seen.remove(uid, known[0])
        self._seen.add(uid, generation)
        self._advance()
        self._versions[uid] = generation, self._now

    def remove(self, uid: str) -> None:
        """A policy has gone."""
        known = self._versions.pop(uid, None)
        if known:
            self._seen.remove(uid, known[0])
            self._advance()

    def has_heard(self, word: str, uid: str) -> bool:
        """Whether an agent with this word had heard of the newest version of a policy."""
        return self._moments.get(word, -1) >= self._versions[uid][1]

    def _advance(self) -> None:
        self._now += 1
        word = self._seen.word()
        self._moments.pop(word, None)  # to be put at the end: the oldest are forgotten first
        self._moments[word] = self._now
        while len(self._moments) > KEPT:
            del self._moments[next(iter(self._moments))]
