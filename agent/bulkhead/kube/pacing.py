"""How long to wait before asking an API server again: twice as long each time, never two agents at the same moment.

Pure: chance is passed in. Next step: `kube.reflector`, which waits.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 0.8
LAST_S = 30.0
LONGEST_WISH_S = 300.0  # of a server that asks for patience; longer would leave changed policies unseen


class Backoff:
    """Pauses between `FIRST_S` and `LAST_S` that double; `chance` gives numbers from 0 to 1."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._base_s = FIRST_S

    def pause_s(self, at_least_s: float = 0.0) -> float:
        """Seconds to wait now."""
        base_s, self._base_s = self._base_s, min(self._base_s * 2, LAST_S / 2)
        jitter_s = base_s * self._chance()
        return max(base_s, min(at_least_s, LONGEST_WISH_S)) + jitter_s
