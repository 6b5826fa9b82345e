"""Everything the controller has been told, and which policies have to be judged anew after each change.

Written by the threads that watch, read by the one that tells; every method takes the lock. A change of a node costs as
much as there are policies that select something there, whatever the number of nodes. Next step: `controller.telling`.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from bulkhead.controller.history import History
from bulkhead.controller.nodes import AgentPod, NodeView, Row, boot_id, parse_agent, parse_node_state
from bulkhead.controller.summary import Fleet, Judged, Share
from bulkhead.kube.conditions import find
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.parse import parse_object

KINDS = frozenset({*POLICY_KINDS, "NodeState", "Node", "Pod"})  # pods: the agents' only
REASON_CHARACTERS = 400  # of a failure in a policy's status; the NodeState has all of it


class ControllerState:
    """See above. `changed` is set when there is something to judge."""

    def __init__(self) -> None:
        self.changed = threading.Event()
        self._lock = threading.Lock()
        self._missing = set(KINDS)
        self._policies: dict[PolicyKey, Judged] = {}
        self._history = {kind: History() for kind in POLICY_KINDS}
        self._states: dict[str, NodeView] = {}
        self._rows: defaultdict[PolicyKey, dict[str, Row]] = defaultdict(dict)
        self._boots: dict[str, str] = {}
        self._agents: dict[str, AgentPod] = {}
        self._refusals: defaultdict[str, dict[str, str]] = defaultdict(dict)  # by a policy's key as it is written
        self._unsettled: set[PolicyKey] = set()  # of which it is not known that every agent has heard of them
        self._due: set[PolicyKey] = set()

    def replace(self, kind: str, values: Iterable[Mapping[str, Any]]) -> None:
        """These are all objects of a kind."""
        with self._lock:
            present = {_name(kind, value): value for value in values}
            for name in [name for name in self._names(kind) if name not in present]:
                self._remove(kind, name)
            for value in present.values():
                self._put(kind, value)
            self._missing.discard(kind)
        self.changed.set()

    def change(self, kind: str, event: str, value: Mapping[str, Any]) -> None:
        """One object was ADDED, MODIFIED or DELETED."""
        with self._lock:
            if event == "DELETED":
                self._remove(kind, _name(kind, value))
            else:
                self._put(kind, value)
        self.changed.set()

    def take_due(self) -> list[tuple[Judged, Fleet]]:
        """What has to be judged, once; nothing before all kinds were listed."""
        with self._lock:
            if self._missing:
                return []
            due, self._due = self._due, set()
            ready = {agent.node for agent in self._agents.values() if agent.ready}
            agents = {agent.node for agent in self._agents.values() if agent.node in self._boots}
            policies = [self._policies[key] for key in due if key in self._policies]
            return [(policy, self._fleet(policy, agents, ready)) for policy in policies]

    def again(self, key: PolicyKey) -> None:
        """What was taken could not be told."""
        with self._lock:
            self._due.add(key)

    def counts(self) -> tuple[int, int, int]:
        """Policies, those of them that are refused, nodes that say something."""
        with self._lock:
            refused = sum(bool(policy.problems) for policy in self._policies.values())
            return len(self._policies), refused, len(self._states)

    def _names(self, kind: str) -> list[Any]:
        known: dict[str, Mapping[Any, object]] = {"NodeState": self._states, "Node": self._boots, "Pod": self._agents}
        return [key for key in known.get(kind, self._policies) if not isinstance(key, PolicyKey) or key.kind == kind]

    def _put(self, kind: str, value: Mapping[str, Any]) -> None:
        name = _name(kind, value)
        if kind in POLICY_KINDS:
            self._put_policy(key_of(kind, value), value)
        elif kind == "NodeState":
            self._put_state(parse_node_state(value))
        elif kind == "Pod":
            agent, known = parse_agent(value), self._agents.get(name)
            self._agents[name] = agent
            if agent != known:
                self._touch(agent.node)
        elif self._boots.get(name) != boot_id(value):
            self._boots[name] = boot_id(value)
            self._touch(name)

    def _remove(self, kind: str, name: Any) -> None:
        if kind in POLICY_KINDS:
            policy = self._policies.pop(name, None)
            self._unsettled.discard(name)
            if policy:
                self._history[kind].remove(policy.uid)
                self._due |= self._unsettled  # words that were not known may be now
        elif kind == "NodeState":
            self._put_state(NodeView(name))
            self._states.pop(name, None)
        elif kind == "Pod":
            agent = self._agents.pop(name, None)
            if agent:
                self._touch(agent.node)
        elif self._boots.pop(name, None) is not None:
            self._touch(name)

    def _put_policy(self, key: PolicyKey, value: Mapping[str, Any]) -> None:
        metadata, told = value["metadata"], value.get("status") or {}
        known = self._policies.get(key)
        if known and known.uid != metadata["uid"]:
            self._remove(key.kind, key)
            known = None
        if known and known.generation == metadata["generation"]:
            judged = Judged(key, known.uid, known.generation, known.disabled, known.problems, told)
        else:
            judged = _read(key, value, told)
            self._history[key.kind].put(judged.uid, judged.generation)
            self._due |= self._unsettled
        self._policies[key] = judged
        if is_settled(judged):
            self._unsettled.discard(key)
        else:
            self._unsettled.add(key)
        self._due.add(key)

    def _put_state(self, state: NodeView) -> None:
        old = self._states.get(state.name, NodeView(state.name))
        self._states[state.name] = state
        for key in old.rows.keys() - state.rows.keys():
            self._rows[key].pop(state.name, None)
        for key, row in state.rows.items():
            self._rows[key][state.name] = row
        if old.refusals != state.refusals:
            self._put_refusals(old, state)
        if old.failures != state.failures or old.boot_id != state.boot_id:
            self._due |= old.rows.keys() | state.rows.keys()
        changed = {key for key, row in state.rows.items() if old.rows.get(key) != row}
        self._due |= changed | (old.rows.keys() - state.rows.keys())
        if old.seen != state.seen:
            self._due |= self._unsettled

    def _put_refusals(self, old: NodeView, state: NodeView) -> None:
        for name in old.refusals:
            self._refusals[name].pop(state.name, None)
        for name, reason in state.refusals.items():
            self._refusals[name][state.name] = reason
        concerned = old.refusals.keys() | state.refusals.keys()
        self._due |= {key for key in self._policies if str(key) in concerned}

    def _touch(self, node: str) -> None:
        """The node, or its agent, is another than before."""
        state = self._states.get(node)
        self._due |= self._unsettled | (state.rows.keys() if state else set())

    def _fleet(self, policy: Judged, agents: set[str], ready: set[str]) -> Fleet:
        rows = {node: row for node, row in self._rows[policy.key].items() if node in self._boots}
        unsure = agents if policy.key in self._unsettled else set()
        shares = [self._share(policy, node, row) for node, row in rows.items()]
        deaf = sorted(node for node in unsure if self._is_deaf(node, policy))
        refusing = {
            node: reason[:REASON_CHARACTERS]
            for node, reason in sorted(self._refusals[str(policy.key)].items())
            if node in self._boots and not self._is_deaf(node, policy)
        }
        return Fleet(shares, deaf, sorted((unsure | rows.keys()) - ready), refusing)

    def _is_deaf(self, node: str, policy: Judged) -> bool:
        state = self._states.get(node)
        word = state.seen.get(policy.key.kind, "") if state else ""
        return not self._history[policy.key.kind].has_heard(word, policy.uid)

    def _share(self, policy: Judged, node: str, row: Row) -> Share:
        state = self._states[node]
        if self._boots[node] not in ("", state.boot_id):
            return Share(node, row.generation, row.selected, 0, "the node was booted anew, and its agent is not back")
        reason = ""
        if row.enforced < row.selected or row.generation != policy.generation:
            reason = _of_container(policy.key, state.failures)
        return Share(node, row.generation, row.selected, row.enforced, reason[:REASON_CHARACTERS])


def is_settled(policy: Judged) -> bool:
    """Whether its status says of its newest generation that every agent has heard of it."""
    enforced = find(policy.told.get("conditions") or (), "Enforced")
    return enforced.get("observedGeneration") == policy.generation and enforced.get("status") == "True"


def _name(kind: str, value: Mapping[str, Any]) -> Any:
    if kind in POLICY_KINDS:
        return key_of(kind, value)
    return value["metadata"]["uid" if kind == "Pod" else "name"]


def _of_container(key: PolicyKey, failures: Mapping[str, str]) -> str:
    """A failure of a container that this policy can be in: of its namespace, or of any for a cluster's policy."""
    for name, reason in failures.items():
        if name.startswith(f"{key.namespace}/" if key.namespace else ""):
            return f"{name}: {reason}"
    return ""


def _read(key: PolicyKey, value: Mapping[str, Any], told: Mapping[str, Any]) -> Judged:
    document = {**value, "apiVersion": API_VERSION, "kind": key.kind}
    document.pop("status", None)
    parsed = parse_object(document, str(key))
    disabled = bool(parsed.policies) and parsed.policies[0].spec.mode == "Disabled"
    metadata = value["metadata"]
    return Judged(key, metadata["uid"], int(metadata["generation"]), disabled, parsed.problems, told)
