"""The policies of the cluster: which are accepted, what they say, and which are refused and why.

A new version of a policy that is refused does not take the old one's place: that stays in force until the policy is
mended or removed, over a restart of the agent too, because the last good version of each is kept on disk; an agent that
starts while there is no API server enforces these. Next step: `agent.cluster.source` selects, `agent.cluster.telling`
reports, the controller says what is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.enforcement.admission import misfit
from bulkhead.errors import Damaged, Problem
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.log import get_log
from bulkhead.policy.model import API_VERSION, Policy
from bulkhead.policy.parse import parse_object
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import PolicyRules
from bulkhead.policy.seen import Seen

log = get_log()


@dataclass(frozen=True)
class Accepted:
    """A policy in force, at one generation of its object."""

    key: PolicyKey
    generation: int
    policy: Policy
    rules: PolicyRules


@dataclass(frozen=True)
class Known:
    """A policy's object, and what became of it: what is in force of it, and what is wrong with its newest version."""

    value: Mapping[str, Any]
    accepted: Accepted | None
    problems: tuple[Problem, ...] = ()

    @property
    def uid(self) -> str:
        """Of the object."""
        return str(self.value["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """Of the newest version."""
        return int(self.value["metadata"]["generation"])


_Read = tuple[Accepted | None, tuple[Problem, ...]]


class Policies:
    """Every policy of the cluster. `accepted` has the last good version of each, by its uid."""

    def __init__(self, accepted: SealedFolder) -> None:
        self._folder = accepted
        self._known: dict[PolicyKey, Known] = {}
        self._prepared: dict[tuple[PolicyKey, str, int], _Read] = {}
        self._seen = {kind: Seen() for kind in POLICY_KINDS}

    def recall(self) -> None:
        """Begin with the last good versions, as long as nothing newer is told."""
        for uid in sorted(self._folder.names()):
            if kept := self._read_kept(uid):
                key = key_of(kept["kind"], kept["value"])
                self._know(key, Known(kept["value"], *_parse(key, kept["value"])))

    def prepare(self, key: PolicyKey, value: Mapping[str, Any]) -> None:
        """Read a policy before it is put. Takes seconds where it is large, so it may be called without the lock."""
        known = self._known.get(key)
        version = _version(key, value)
        if known is None or _version(key, known.value) != version:
            self._prepared[version] = _parse(key, value)

    def replace(self, kind: str, values: Iterable[Mapping[str, Any]]) -> None:
        """These are all policies of a kind."""
        present = {key_of(kind, value): value for value in values}
        for key in [key for key in self._known if key.kind == kind and key not in present]:
            self.remove(key)
        for key, value in present.items():
            self.put(key, value)

    def put(self, key: PolicyKey, value: Mapping[str, Any]) -> None:
        """A policy came or changed."""
        known = self._known.get(key)
        if known and known.value["metadata"]["uid"] != value["metadata"]["uid"]:
            self.remove(key)  # another policy of the same name: nothing of the old one is its own
            known = None
        if known and known.generation == value["metadata"]["generation"]:
            self._known[key] = Known(value, known.accepted, known.problems)  # the status has changed
            return
        if known:
            self._seen[key.kind].remove(known.uid, known.generation)
        self._know(key, self._read(key, value, known))

    def remove(self, key: PolicyKey) -> None:
        """A policy is gone."""
        known = self._known.pop(key, None)
        if known:
            self._seen[key.kind].remove(known.uid, known.generation)
            self._folder.remove(known.uid)
            log.info("policy_removed", policy=str(key))

    def forget_unknown(self) -> None:
        """All kinds are known: what is left on disk is of policies that were removed while no agent ran."""
        for uid in self._folder.names() - {known.uid for known in self._known.values()}:
            self._folder.remove(uid)

    def accepted(self) -> tuple[Accepted, ...]:
        """What is in force, in a fixed order."""
        return tuple(known.accepted for _, known in sorted(self._known.items()) if known.accepted)

    def seen(self) -> dict[str, str]:
        """A word a kind for all versions that are known (`policy.seen`)."""
        return {kind: seen.word() for kind, seen in self._seen.items()}

    def known(self) -> dict[PolicyKey, Known]:
        """Every policy's object and what became of it."""
        return dict(self._known)

    def _know(self, key: PolicyKey, known: Known) -> None:
        self._known[key] = known
        self._seen[key.kind].add(known.uid, known.generation)

    def _read(self, key: PolicyKey, value: Mapping[str, Any], known: Known | None) -> Known:
        prepared = self._prepared.pop(_version(key, value), None)
        accepted, problems = prepared if prepared is not None else _parse(key, value)
        if accepted:
            self._keep(key, value)
            log.info("policy_accepted", policy=str(key), generation=accepted.generation)
            return Known(value, accepted)
        kept = known.accepted if known else self._kept(key, value)
        for problem in problems:
            log.error(
                "policy_refused", policy=str(key), field=problem.field, error=str(problem),
                kept=kept.generation if kept else None,
            )  # fmt: skip
        return Known(value, kept, problems)

    def _kept(self, key: PolicyKey, value: Mapping[str, Any]) -> Accepted | None:
        kept = self._read_kept(value["metadata"]["uid"])
        return _parse(key, kept["value"])[0] if kept else None

    def _read_kept(self, uid: str) -> dict[str, Any] | None:
        try:
            kept: dict[str, Any] | None = self._folder.read(uid)
        except Damaged as error:
            log.error("policy_not_kept", policy=uid, error=str(error))
            return None
        return kept

    def _keep(self, key: PolicyKey, value: Mapping[str, Any]) -> None:
        try:
            self._folder.write(value["metadata"]["uid"], {"kind": key.kind, "value": value})
        except OSError as error:
            log.error("policy_not_kept", policy=str(key), error=error.strerror)


def _version(key: PolicyKey, value: Mapping[str, Any]) -> tuple[PolicyKey, str, int]:
    return key, value["metadata"]["uid"], int(value["metadata"]["generation"])


def _parse(key: PolicyKey, value: Mapping[str, Any]) -> _Read:
    """The items of a list, and old copies, may lack apiVersion and kind: the path they were read at says them."""
    document = {**value, "apiVersion": API_VERSION, "kind": key.kind}
    document.pop("status", None)
    parsed = parse_object(document, str(key))
    if parsed.problems or not parsed.policies:
        return None, parsed.problems
    policy = parsed.policies[0]
    rules = resolve(policy)
    if problem := misfit(rules, (str(key), 0), f"{policy.namespace}/{policy.name}".lstrip("/")):
        return None, (problem,)
    return Accepted(key, int(value["metadata"]["generation"]), policy, rules), ()
