"""How many files the agent may have open, for looks at containers with many mounts."""

from __future__ import annotations

import resource

import pytest

from bulkhead.enforcement.roots import MAX_MOUNTS, allow_descriptors


@pytest.mark.parametrize(
    ("soft", "hard", "then"),
    [
        (1_024, 524_288, 2 * MAX_MOUNTS),
        (1_024, resource.RLIM_INFINITY, 2 * MAX_MOUNTS),
        (1_024, 4_096, 4_096),
        (300_000, 524_288, 300_000),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ],
)
def test_the_agent_has_as_many_as_it_may(soft: int, hard: int, then: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd gives services 1,024, and lets them have more; what is larger already stays."""
    limits = {resource.RLIMIT_NOFILE: (soft, hard)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    allow_descriptors()
    assert limits == {resource.RLIMIT_NOFILE: (then, hard)}
