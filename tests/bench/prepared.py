"""Policies that guests enforce, lowered on this machine: there, lowering 10,000 rules would take minutes.

`write` runs here and `read` there, with the same file between them. Next step: `instructions` and `kernel_memory`
enforce them.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkhead.enforcement.building import StartGroups
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower import digest_of, lower
from bulkhead.policy.merge import PolicySet, merge
from bulkhead.policy.rules import PolicyRules

Policies = Mapping[str, Sequence[PolicyRules]]
"""What one container is under, by a name."""


@dataclass(frozen=True)
class Prepared:
    """Rules, and the images of their sets by digest."""

    rules: Policies
    images: dict[str, SetImage]

    def build(self, policy_set: PolicySet, groups: StartGroups, wait: bool) -> SetImage:
        """A `Build`. What is not prepared is lowered now: a mount at two places makes another set of the same rules."""
        del wait
        image = self.images.get(digest_of(policy_set, groups))
        if image is None:
            print(
                f"bench: {len(policy_set.statements)} rules are lowered here, for {groups}", file=sys.stderr, flush=True
            )
            image = lower(policy_set, groups)
        return image


def prepare(policies: Policies, groups: StartGroups) -> Prepared:
    """Lower each for a root in which the groups' paths, and no others, are two of one directory."""
    images = [lower(merge(rules), groups) for rules in policies.values()]
    return Prepared(policies, {image.digest: image for image in images})


def write(policies: Policies, groups: StartGroups, file: Path) -> Path:
    """Prepare them into a file."""
    file.write_bytes(pickle.dumps(prepare(policies, groups)))
    return file


def read(file: Path) -> Prepared:
    """What `write` wrote."""
    found = pickle.loads(file.read_bytes())
    assert isinstance(found, Prepared)
    return found
