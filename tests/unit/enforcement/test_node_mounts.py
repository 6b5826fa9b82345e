"""Of the node's mounts those count that rules speak of; others come and go without changing anything."""

from __future__ import annotations

from typing import cast

from bulkhead.enforcement.node_mounts import LOOK_S, NodeMounts, spoken_of
from bulkhead.enforcement.roots import RootView
from bulkhead.node import mounts
from bulkhead.node.anchors import Anchor, MountWatch
from bulkhead.node.symlinks import Links
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PolicyRules

TABLE = b"""\
20 1 8:1 / / rw - ext4 /dev/sda rw
21 20 0:30 / /var/lib/kubelet/pods/a/volumes/token rw - tmpfs tmpfs rw
22 20 8:2 / /home rw - ext4 /dev/sdb rw
23 20 8:1 /etc /mnt/etc rw - ext4 /dev/sda rw
"""
POLICY = """
apiVersion: bulkhead.dev/v1alpha1
kind: SecurityPolicy
metadata: {name: p}
spec:
  files: {rules: [{action: Deny, paths: ["/home/*/.ssh/**", /etc/shadow]}]}
"""


def rules() -> PolicyRules:
    """Those of the policy."""
    (policy,) = parse_text(POLICY, "test").policies
    return resolve(policy)


def view() -> RootView:
    """The node's."""
    table = mounts.parse(TABLE)
    anchors = tuple(Anchor(each, number) for number, each in enumerate(mounts.views(table)))
    places, links = mounts.places(table), cast(Links, None)
    return RootView(anchors, table, places, {}, frozenset(), 0, has_own_overlay=False, root=-1, links=links)


def test_mounts_of_pods_are_left_out() -> None:
    """What is mounted from a directory that a rule speaks of counts, wherever it is mounted."""
    found = spoken_of(view(), rules())
    assert {each.mount_point for each in found.places} == {b"/", b"/home"}
    assert {each.view.mount_point for each in found.anchors} == {b"/", b"/home", b"/mnt/etc"}
    nothing = spoken_of(view(), PolicyRules())
    assert [each.view.mount_point for each in nothing.anchors] == [b"/"]


class Watched:
    """A mount table that changes when it is told to."""

    def __init__(self) -> None:
        self.is_changed = False

    def changed(self) -> bool:
        """Once."""
        was, self.is_changed = self.is_changed, False
        return was


def test_a_change_is_another_version_but_not_at_once() -> None:
    """A pod that starts mounts a dozen times."""
    table, now_s = Watched(), [0.0]
    node = NodeMounts(lambda _: cast(MountWatch, table), lambda: now_s[0])
    first = node.version()
    table.is_changed = True
    assert node.version() == first
    now_s[0] = LOOK_S
    assert node.version() == first + 1
    now_s[0] = 2 * LOOK_S
    assert node.version() == first + 1
