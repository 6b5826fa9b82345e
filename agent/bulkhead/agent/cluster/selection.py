"""Which containers of this node are under which policies, wherever they are: every selector asked about every pod.

A node with 250 pods is asked again with each change of one, so what was answered about a pod is kept as long as neither
the pod, nor labels, nor the policies of its namespace have changed. Next step: `agent.cluster.source` finds them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bulkhead.agent.cluster.accepted import Accepted
from bulkhead.agent.cluster.pods import Pod, PodContainer
from bulkhead.agent.cluster.state import Snapshot
from bulkhead.policy.rules import PolicyRules
from bulkhead.policy.select import Candidate, Labels, names_container, selects_pod

_Answer = tuple[Accepted, bool | None]  # None: what it depends on is not known yet


@dataclass(frozen=True)
class Selected:
    """A container that policies select, wherever it is. `rules` are those of `policies`.

    `undecided` are policies that may select it, for the reason that is `unknown`.
    """

    pod: Pod
    container: PodContainer
    policies: tuple[Accepted, ...]
    rules: tuple[PolicyRules, ...]
    undecided: tuple[Accepted, ...] = ()
    unknown: str = ""

    @property
    def title(self) -> str:
        """By which people know it."""
        return f"{self.pod.namespace}/{self.pod.name}/{self.container.name}"

    @property
    def missing(self) -> str:
        """What of its policies can not be enforced: nothing; what cannot be now is a failure."""
        return ""

    @property
    def name(self) -> tuple[str, str]:
        """By which `ContainerCgroups` knows it."""
        return self.pod.cgroup_uid, self.container.id


Before = Mapping[tuple[str, str], Selected]  # by name


@dataclass(frozen=True)
class _Asked:
    """All that answers about a pod depend on, where none depends on what was known before."""

    pod: Pod
    policies: tuple[Accepted, ...]
    namespace: Labels | None
    node: Labels | None


class Selection:
    """What is selected now, worked out anew only for pods about which something has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Asked, tuple[Selected, ...]]] = {}  # by the pod's uid

    def of(self, snapshot: Snapshot, pods: Iterable[Pod], before: Before) -> tuple[Selected, ...]:
        """Every container of some pods that a policy selects, or may select; `before` is what was known of them.

        Pods that are not asked for any more are forgotten.
        """
        known, self._known = self._known, {}
        found: list[Selected] = []
        for pod in pods:
            namespace = snapshot.namespaces.get(pod.namespace)
            asked = _Asked(pod, snapshot.policies.of(pod.namespace), namespace, snapshot.node)
            former = known.get(pod.uid)
            selected = former[1] if former and former[0] == asked else tuple(_select_of(snapshot, pod, before))
            if not any(each.unknown for each in selected):
                self._known[pod.uid] = asked, selected
            found += selected
        return tuple(found)


def _select_of(snapshot: Snapshot, pod: Pod, before: Before) -> Iterator[Selected]:
    answers = _answers(snapshot, pod)
    for container in pod.containers:
        selected = _selected(snapshot, pod, container, answers, before.get((pod.cgroup_uid, container.id)))
        if selected.policies or selected.undecided:
            yield selected


def _answers(snapshot: Snapshot, pod: Pod) -> tuple[_Answer, ...]:
    """The policies that select containers of a pod, by their names, or may."""
    candidate = Candidate(pod.namespace, pod.labels, snapshot.namespaces.get(pod.namespace), "", snapshot.node)
    asked = ((each, selects_pod(each.policy, candidate)) for each in snapshot.policies.of(pod.namespace))
    return tuple((each, answer) for each, answer in asked if answer is not False)


def _selected(
    snapshot: Snapshot, pod: Pod, container: PodContainer, of_pod: Iterable[_Answer], former: Selected | None
) -> Selected:
    """What selects a container. A policy about which nothing can be said now goes on where it held before."""
    answers = [(each, answer) for each, answer in of_pod if names_container(each.policy, container.name)]
    held = {each.key for each in former.policies} if former else set()
    policies = tuple(each for each, answer in answers if answer or (answer is None and each.key in held))
    undecided = tuple(each for each, answer in answers if answer is None and each.key not in held)
    unknown = _unknown(snapshot, pod) if undecided else ""
    return Selected(pod, container, policies, tuple(each.rules for each in policies), undecided, unknown)


def _unknown(snapshot: Snapshot, pod: Pod) -> str:
    """Whose labels have not been told."""
    whose = [] if pod.namespace in snapshot.namespaces else [f"namespace {pod.namespace}"]
    whose += ["this node"] if snapshot.node is None else []
    return f"the labels of {' and of '.join(whose)} are not known yet"
