"""The mounts of the node itself, for policies that hold for its own processes: those that rules speak of, as they are.

With every pod some come, and some go. What no rule speaks of is left out, so that they change nothing about a policy:
the kernel takes a file system of the node that was not announced for one on which no rule on paths matches. Unlike a
container's, the node's mounts are its administrator's, who is believed. Next step: `enforcement.enforcer`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import chain

from bulkhead.enforcement.roots import RootView
from bulkhead.errors import NotEnforceable
from bulkhead.node import mounts
from bulkhead.node.anchors import MountWatch, watch_mounts
from bulkhead.policy.pattern_steps import Patterns
from bulkhead.policy.rules import PathRule, PolicyRules

FIRST_PROCESS = 1  # its mounts are the node's
UNKNOWN = -1  # no version
LOOK_S = 2.0  # between two looks: a pod that starts mounts a dozen times

ROOT = b"/"


class NodeMounts:
    """Counts the changes of the node's mount table. `clock` is in seconds."""

    def __init__(
        self, watch: Callable[[int], MountWatch] = watch_mounts, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open, self._clock = watch, clock
        self._watch: MountWatch | None = None
        self._version = 0
        self._due_s = 0.0

    def version(self) -> int:
        """Another number than before where it has changed, some seconds ago at most."""
        now_s = self._clock()
        if now_s < self._due_s:
            return self._version
        self._due_s = now_s + LOOK_S
        try:
            self._watch = self._watch or self._open(FIRST_PROCESS)
        except NotEnforceable:  # whoever looks at the mounts themselves says so
            return self._version
        self._version += self._watch.changed()
        return self._version


def spoken_of(view: RootView, rules: PolicyRules) -> RootView:
    """The view with those mounts alone below which some pattern may match, or of which one is a whole. Pure."""
    patterns = Patterns(_patterns(rules))
    places = frozenset(each for each in view.places if each.mount_point == ROOT or patterns.along(each.mount_point))
    mounted = mounts.by_origin(places)
    anchors = tuple(
        anchor
        for anchor in view.anchors
        if any(
            path == ROOT or patterns.along(path)
            for path in mounts.paths_of(anchor.view.device, anchor.view.root, mounted)
        )
    )
    return replace(view, anchors=anchors, places=places)


def _patterns(rules: PolicyRules) -> set[bytes]:
    """Those of files and of programs."""
    statements = chain.from_iterable(getattr(rules, each.name) for each in fields(rules) if each.name != "defaults")
    texts: set[str] = set()
    for rule in statements:
        texts.update(rule.programs.by, rule.programs.unless, rule.patterns if isinstance(rule, PathRule) else ())
    return {text.encode("utf-8", "surrogateescape") for text in texts}
