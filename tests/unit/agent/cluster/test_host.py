"""Which of a node's own cgroups are under which policies, and what is said of them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulkhead.agent.cluster import host
from bulkhead.agent.cluster.host import FIRST_PROCESS, HostProcesses
from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.agent.cluster.statement import Enforcement, NodeFacts, Since, node_state
from bulkhead.agent.source import Assignment
from bulkhead.node import host as node_host
from bulkhead.node import kubepods
from bulkhead.node.kubepods import ContainerCgroups
from tests.unit.agent.cluster.objects import CONTAINER, UID, policy

POD = f"kubepods/burstable/pod{UID}"
DENY_EGRESS = {"egress": {"default": "Deny"}}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hierarchy of a node with two services and a pod."""
    monkeypatch.setattr(kubepods, "cgroup_id", lambda path: path.stat().st_ino)
    monkeypatch.setattr(node_host, "cgroup_id", lambda path: path.stat().st_ino)
    monkeypatch.setattr(host, "layout", partial(node_host.layout, trusted=os.getuid()))
    for path in ("system.slice/ssh.service", "system.slice/cron.service", f"{POD}/{CONTAINER}"):
        (tmp_path / "cgroup" / path).mkdir(parents=True)
    return tmp_path / "cgroup"


@pytest.fixture
def state(tmp_path: Path) -> ClusterState:
    """No policies, and a node with a label."""
    made = ClusterState(tmp_path / "accepted")
    for kind in ("Pod", "SecurityPolicy", "ClusterSecurityPolicy", "Namespace"):
        made.replace(kind, [])
    made.replace("Node", [{"metadata": {"name": "vm0", "labels": {"zone": "a"}}}])
    return made


@pytest.fixture
def source(state: ClusterState, root: Path) -> ClusterSource:
    """Of that node."""
    return ClusterSource(state, ContainerCgroups(root), "", HostProcesses(root))


def host_policy(name: str, *cgroups: str, **spec: Any) -> dict[str, Any]:
    """A ClusterSecurityPolicy for processes of nodes."""
    made = policy(name, uid=f"p-{name}", hostProcesses={"cgroups": list(cgroups)} if cgroups else {}, **spec)
    del made["metadata"]["namespace"], made["spec"]["podSelector"]
    return made


def add(state: ClusterState, made: dict[str, Any]) -> None:
    """The API server tells of a policy."""
    state.change("ClusterSecurityPolicy", "ADDED", made)
    (known,) = (each for key, each in state.policies().items() if key.name == made["metadata"]["name"])
    assert not known.problems


def told(source: ClusterSource) -> list[tuple[str, int, bool]]:
    """What should be under how many policies, and which of it alone."""
    return [(each.container.name, len(each.policies), each.container.alone) for each in source.read() or ()]


def test_a_policy_holds_for_the_cgroups_that_it_names(state: ClusterState, source: ClusterSource, root: Path) -> None:
    """With the mounts of the node, and none of the names of a pod; it is over when the policy is."""
    add(state, host_policy("shells", "/system.slice/ssh*"))
    (assignment,) = source.read() or ()
    found = assignment.container
    assert (found.name, found.of_node, found.pid) == ("/system.slice/ssh.service", True, FIRST_PROCESS)
    assert (found.cgroup, found.pod, found.namespace) == (root / "system.slice/ssh.service", "", "")
    state.change("ClusterSecurityPolicy", "DELETED", host_policy("shells", "/system.slice/ssh*"))
    assert source.read() == ()
    assert source.is_over(found)


def test_without_cgroups_it_holds_for_all_but_pods(state: ClusterState, source: ClusterSource, root: Path) -> None:
    """Which may have been made below one that it holds for."""
    add(state, host_policy("all"))
    assert told(source) == [("/system.slice", 1, False), ("/", 1, True)]
    assert source.spared() == (root / "kubepods",)


def test_on_nodes_with_some_labels(state: ClusterState, source: ClusterSource) -> None:
    """And not yet where the labels are not known: it goes on where it held, and is said to be missing elsewhere."""
    add(state, host_policy("elsewhere", "/system.slice", nodeSelector={"matchLabels": {"zone": "b"}}))
    assert told(source) == []
    add(state, host_policy("here", "/system.slice", nodeSelector={"matchLabels": {"zone": "a"}}))
    assert told(source) == [("/system.slice", 1, False)]
    state.replace("Node", [])
    add(state, host_policy("somewhere", "/system.slice", nodeSelector={"matchLabels": {"zone": "a"}}))
    (assignment,) = source.read() or ()
    assert len(assignment.policies) == 1
    assert "labels of this node" in assignment.unknown


def test_what_the_node_says_of_them(state: ClusterState, source: ClusterSource) -> None:
    """Selected, in force, and behind, as of containers."""
    add(state, host_policy("all"))
    assignments = source.read() or ()
    first = {each.container.cgroup_id: each for each in assignments[:1]}
    status = stated(state, source, first)
    assert [(row["name"], row["selected"], row["enforced"]) for row in status["policies"]] == [("all", 2, 1)]
    assert status["behind"] == ["/"]


def test_packets_of_processes_above_pods_are_not_judged(state: ClusterState, source: ClusterSource, root: Path) -> None:
    """Said where there are such processes; the rest of the policy is in force there."""
    add(state, host_policy("packets", "/", network=DENY_EGRESS))
    below, above = source.read() or ()
    assert [[len(rules.defaults) for rules in each.policies] for each in (below, above)] == [[1], [0]]
    both = {each.container.cgroup_id: each for each in (below, above)}
    assert stated(state, source, both)["failures"] == []
    (root / "cgroup.procs").write_text("1\n")
    below, above = source.read() or ()
    status = stated(state, source, {each.container.cgroup_id: each for each in (below, above)})
    assert [(row["selected"], row["enforced"]) for row in status["policies"]] == [(2, 1)]
    (failure,) = status["failures"]
    assert failure["object"] == "/"
    assert "network.egress does not hold" in failure["reason"]


def stated(state: ClusterState, source: ClusterSource, applied: dict[int, Assignment]) -> dict[str, Any]:
    """The status of the node, where so much is in force."""
    look = source.look()
    found = Enforcement(state.policies(), {**look.placed, **look.of_node}, applied, ())
    return dict(node_state(NodeFacts("vm0", "6.12", "boot"), found, {}, Since(), "T1")["status"])
