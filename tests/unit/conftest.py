"""Property tests take as long as a busy machine needs: how long something takes is measured elsewhere."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
