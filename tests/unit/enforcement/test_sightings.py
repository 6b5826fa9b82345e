"""A new look at a container's mounts adds paths; it never takes one away."""

from __future__ import annotations

import pytest

from bulkhead.enforcement import sightings
from bulkhead.enforcement.sightings import Sightings, groups, unite
from bulkhead.errors import DoesNotFit
from bulkhead.node.mounts import Place

DEVICE = (0, 30)
ROOT = Sightings(frozenset({Place(DEVICE, b"/", b"/")}), {1: frozenset({(DEVICE, b"/")})})
# As from a process whose root is the directory /secrets, and that sees nothing else.
PIVOTED = Sightings(frozenset({Place(DEVICE, b"/secrets", b"/")}), {2: frozenset({(DEVICE, b"/secrets")})})


def test_a_directory_that_became_the_root_keeps_its_path() -> None:
    """It was below a mount that is known, although nobody had mounted it by itself."""
    assert PIVOTED.paths() == {2: {b"/"}}
    assert unite(ROOT, PIVOTED).paths() == {1: {b"/"}, 2: {b"/secrets", b"/"}}


def test_what_is_no_longer_seen_is_kept() -> None:
    """Its inode has a number still, and processes may have it open."""
    assert unite(unite(ROOT, PIVOTED), ROOT).paths() == unite(ROOT, PIVOTED).paths()


def test_only_trees_with_several_paths_are_groups() -> None:
    """In an order that does not depend on that of the mounts."""
    assert groups(unite(ROOT, PIVOTED).paths()) == (frozenset({b"/secrets", b"/"}),)


def test_a_process_that_keeps_mounting_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is refused as a whole: what was known goes on."""
    monkeypatch.setattr(sightings, "MAX_PATHS", 2)
    with pytest.raises(DoesNotFit, match="mounts: 3 needed, the limit is 2"):
        unite(ROOT, PIVOTED).paths()
