"""Which container is under which policies, in a tree of folders that stands for the cgroup hierarchy."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from bulkhead.agent.cluster.source import ClusterSource
from bulkhead.agent.cluster.state import ClusterState
from bulkhead.node import kubepods
from bulkhead.node.cgroups import Cgroup
from bulkhead.node.kubepods import ContainerCgroups
from tests.unit.agent.cluster.objects import CONTAINER, UID, cluster_policy, pod, policy

POD = f"kubepods/burstable/pod{UID}"


@pytest.fixture(autouse=True)
def plain_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder's inode number stands for a cgroup's id."""
    monkeypatch.setattr(kubepods, "cgroup_id", lambda path: path.stat().st_ino)


@pytest.fixture
def state(tmp_path: Path) -> ClusterState:
    """One pod and one policy that selects it."""
    made = ClusterState(tmp_path / "accepted")
    made.replace("Pod", [pod()])
    made.replace("SecurityPolicy", [policy()])
    made.replace("ClusterSecurityPolicy", [])
    made.replace("Namespace", [{"metadata": {"name": "shop", "labels": {"tier": "front"}}}])
    made.replace("Node", [{"metadata": {"name": "vm0", "labels": {"zone": "a"}}}])
    return made


@pytest.fixture
def source(state: ClusterState, tmp_path: Path) -> ClusterSource:
    """With the pod's container in the hierarchy."""
    (tmp_path / "cgroup" / POD / CONTAINER).mkdir(parents=True)
    return ClusterSource(state, ContainerCgroups(tmp_path / "cgroup"))


def names(source: ClusterSource) -> list[str]:
    """Of the containers to be under policies."""
    return [assignment.container.name for assignment in source.read() or ()]


def test_nothing_is_known_before_everything_was_listed(tmp_path: Path) -> None:
    """None, not an empty answer: an empty one would release what an earlier agent enforced."""
    made = ClusterState(tmp_path / "accepted")
    source = ClusterSource(made, ContainerCgroups(tmp_path))
    for kind in ("Pod", "SecurityPolicy", "ClusterSecurityPolicy", "Namespace"):
        made.replace(kind, [])
        assert source.read() is None
    made.replace("Node", [])
    assert source.read() == ()


def test_a_container_comes_with_its_names(source: ClusterSource, tmp_path: Path) -> None:
    """They are in every violation."""
    (assignment,) = source.read() or ()
    found = assignment.container
    assert (found.namespace, found.pod, found.container, found.image) == ("shop", "web-0", "web", "docker.io/web:1")
    assert found.labels == {"app": "web"}
    assert found.cgroup == tmp_path / "cgroup" / POD / CONTAINER
    assert len(assignment.policies) == 1


def test_the_agents_own_pod_is_left_alone(state: ClusterState, tmp_path: Path) -> None:
    """A policy that selects everything must not take from the agent what it needs to take the policy back."""
    (tmp_path / "cgroup" / POD / CONTAINER).mkdir(parents=True)
    found = ContainerCgroups(tmp_path / "cgroup")
    assert names(ClusterSource(state, found, own_uid="another")) == ["shop/web-0/web"]
    assert names(ClusterSource(state, found, own_uid=UID)) == []


def test_a_version_counts_as_seen_when_the_look_is_over(
    source: ClusterSource, state: ClusterState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for it asks at once what became of a container, from another thread."""
    before, find = source.seen, ContainerCgroups.find
    during: list[int] = []

    def looking(
        cgroups: ContainerCgroups, wanted: Iterable[tuple[str, str]], living: Collection[int]
    ) -> Mapping[tuple[str, str], Cgroup]:
        during.append(source.seen)
        return find(cgroups, wanted, living)

    monkeypatch.setattr(ContainerCgroups, "find", looking)
    source.read()
    snapshot = state.snapshot()
    assert snapshot is not None
    assert (during, source.seen) == ([before], snapshot.version)


def test_labels_decide(source: ClusterSource, state: ClusterState) -> None:
    """A pod that is no longer selected is not in the answer."""
    state.change("Pod", "MODIFIED", pod(labels={"app": "db"}))
    assert names(source) == []
    state.change("Pod", "MODIFIED", pod())
    assert names(source) == ["shop/web-0/web"]


def test_namespaces_are_selected_by_their_labels(source: ClusterSource, state: ClusterState) -> None:
    """A ClusterSecurityPolicy holds where its namespaceSelector does, and follows a change of labels."""
    state.replace("SecurityPolicy", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy())
    assert names(source) == ["shop/web-0/web"]
    state.change("Namespace", "MODIFIED", {"metadata": {"name": "shop"}})
    assert names(source) == []


def found(source: ClusterSource) -> list[tuple[int, str]]:
    """How many policies hold for each container, and what is not known of it."""
    return [(len(each.policies), each.unknown) for each in source.read() or ()]


UNKNOWN = "the labels of namespace shop are not known yet"


def test_a_pod_may_be_told_before_its_namespace(source: ClusterSource, state: ClusterState) -> None:
    """What is known to select it holds; that more may is said, until the labels come and decide."""
    state.replace("Namespace", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy())
    assert found(source) == [(1, UNKNOWN)]
    state.change("Namespace", "ADDED", {"metadata": {"name": "shop", "labels": {"tier": "front"}}})
    assert found(source) == [(2, "")]


def test_a_policy_that_asks_for_other_pods_waits_for_no_namespace(source: ClusterSource, state: ClusterState) -> None:
    """Labels that decide nothing need not be known."""
    state.replace("Namespace", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy(podSelector={"matchLabels": {"app": "db"}}))
    assert found(source) == [(1, "")]


def test_a_namespace_that_goes_before_its_pods_takes_no_policy_from_them(
    source: ClusterSource, state: ClusterState
) -> None:
    """A pod that was deleted by force runs on; what held for it does."""
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy())
    assert found(source) == [(2, "")]
    state.change("Namespace", "DELETED", {"metadata": {"name": "shop", "labels": {"tier": "front"}}})
    assert found(source) == [(2, "")]
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy("later"))
    assert found(source) == [(2, UNKNOWN)]


def test_a_namespace_that_changes_but_not_its_labels_is_no_news(state: ClusterState) -> None:
    """Nothing is selected anew for an annotation."""
    before = state.snapshot()
    state.changed.clear()
    labels = {"name": "shop", "labels": {"tier": "front"}}
    state.change("Namespace", "MODIFIED", {"metadata": {**labels, "annotations": {"a": "b"}}})
    assert state.snapshot() is before
    assert not state.changed.is_set()
    state.change("Namespace", "MODIFIED", {"metadata": {"name": "shop"}})
    assert state.changed.is_set()


def test_nodes_are_selected_by_their_labels(source: ClusterSource, state: ClusterState) -> None:
    """A policy follows a change of the node's labels, and both selectors must hold."""
    state.replace("SecurityPolicy", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy(nodeSelector={"matchLabels": {"zone": "b"}}))
    assert names(source) == []
    state.change("Node", "MODIFIED", {"metadata": {"name": "vm0", "labels": {"zone": "b"}}})
    assert names(source) == ["shop/web-0/web"]
    state.change("Namespace", "MODIFIED", {"metadata": {"name": "shop"}})
    assert names(source) == []


def test_a_node_that_nobody_told_of_is_waited_for(source: ClusterSource, state: ClusterState) -> None:
    """It is not one without labels; a policy for all nodes waits for none."""
    state.replace("Node", [])
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy(nodeSelector={}))
    assert found(source) == [(2, "")]
    no_gpu = {"matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}]}
    state.change("ClusterSecurityPolicy", "ADDED", cluster_policy("no-gpu", nodeSelector=no_gpu))
    assert found(source) == [(2, "the labels of this node are not known yet")]
    state.replace("Namespace", [])
    unknown = "the labels of namespace shop and of this node are not known yet"
    assert found(source) == [(2, unknown)]
    state.replace("Node", [{"metadata": {"name": "vm0"}}])
    state.change("Namespace", "ADDED", {"metadata": {"name": "shop", "labels": {"tier": "front"}}})
    assert found(source) == [(3, "")]


def test_a_node_that_tells_how_it_is_is_no_news(state: ClusterState) -> None:
    """It does so every few minutes, and with every image that it pulls."""
    before = state.snapshot()
    node = {"metadata": {"name": "vm0", "labels": {"zone": "a"}}, "status": {"images": []}}
    state.change("Node", "MODIFIED", node)
    assert state.snapshot() is before


def test_a_container_outlives_its_pods_object(source: ClusterSource, state: ClusterState, tmp_path: Path) -> None:
    """A pod that was deleted by force still runs for a while; it stays under its policies until its cgroup is gone."""
    assert names(source) == ["shop/web-0/web"]
    state.change("Pod", "DELETED", pod())
    assert names(source) == ["shop/web-0/web"]
    shutil.rmtree(tmp_path / "cgroup" / POD)
    assert names(source) == []
    snapshot = state.snapshot()
    assert snapshot is not None
    assert snapshot.departed == ()


def test_a_status_that_forgets_a_container_releases_nothing(
    source: ClusterSource, state: ClusterState, tmp_path: Path
) -> None:
    """The kubelet may have lost sight of it for a moment: what runs in its cgroup stays under its policies."""
    assert names(source) == ["shop/web-0/web"]
    forgotten = pod()
    forgotten["status"] = {}
    state.change("Pod", "MODIFIED", forgotten)
    assert names(source) == ["shop/web-0/web"]
    shutil.rmtree(tmp_path / "cgroup" / POD)
    assert names(source) == []
    assert names(source) == []
    (tmp_path / "cgroup" / POD / CONTAINER).mkdir(parents=True)
    assert names(source) == []


def test_a_container_of_an_unknown_pod_is_not_over_while_it_runs(source: ClusterSource, tmp_path: Path) -> None:
    """Its pod was deleted while no agent ran. That of a known pod is over when no policy selects it any more."""
    (assignment,) = source.read() or ()
    assert source.is_over(assignment.container)
    unknown = tmp_path / "cgroup" / POD.replace("0f3a", "ffff") / CONTAINER
    unknown.mkdir(parents=True)
    adopted = replace(assignment.container, cgroup=unknown)
    assert not source.is_over(adopted)
    assert source.is_over(replace(adopted, cgroup=tmp_path))  # no pod's: an agent without a cluster put it there
    unknown.rmdir()
    assert source.is_over(adopted)


def test_a_pod_that_a_new_list_lacks_has_departed(source: ClusterSource, state: ClusterState) -> None:
    """As if its deletion had been seen."""
    state.replace("Pod", [])
    assert names(source) == ["shop/web-0/web"]


def test_containers_are_found_where_runtimes_put_them(tmp_path: Path) -> None:
    """Both drivers, other runtimes, a kubelet in a container; never the sandbox, nor the monitor of CRI-O."""
    name, underscored = "b" * 64, UID.replace("-", "_")
    places = [
        f"kubepods/pod{UID}/{name}",
        f"kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{underscored}.slice/cri-containerd-{name}.scope",
        f"kubepods.slice/kubepods-pod{underscored}.slice/crio-{name}.scope",
        f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{underscored}.slice/cri-containerd-{name}.scope",
        f"kubelet/kubepods/besteffort/pod{UID}/{name}",
    ]
    for number, place in enumerate(places):
        root = tmp_path / str(number)
        (root / place).mkdir(parents=True)
        (root / place).with_name(f"crio-conmon-{name}.scope").mkdir()
        (root / place).with_name("c" * 64).mkdir()
        found = ContainerCgroups(root).find([(UID, name), (UID, "d" * 64)])
        assert {key: cgroup.path for key, cgroup in found.items()} == {(UID, name): root / place}
