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

from bulkhead.agent.cluster.accepted import Accepted, InForce, accept
from bulkhead.agent.cluster.sealed import SealedFolder
from bulkhead.enforcement.admission import misfit
from bulkhead.errors import Damaged, Problem
from bulkhead.kube.policy_key import POLICY_KINDS, PolicyKey, key_of
from bulkhead.log import get_log
from bulkhead.policy.model import API_VERSION
from bulkhead.policy.parse import parse_object
from bulkhead.policy.resolve import resolve
from bulkhead.policy.seen import Seen

log = get_log()


@dataclass(frozen=True)
class Known:
    """What became of a policy: what is in force of it, and what is wrong with its newest version, the `generation`."""

    uid: str
    generation: int
    accepted: Accepted | None
    problems: tuple[Problem, ...] = ()


_Read = tuple[Accepted | None, tuple[Problem, ...]]
_NAMING = ("name", "namespace", "uid", "generation")
_Version = tuple[PolicyKey, str, int]  # uid and generation


class Policies:
    """Every policy of the cluster. `accepted` has the last good version of each, by its uid."""

    def __init__(self, accepted: SealedFolder) -> None:
        self._folder = accepted
        self._known: dict[PolicyKey, Known] = {}
        self._prepared: dict[_Version, _Read] = {}
        self._in_force: InForce | None = None  # of now; None where it has to be made anew
        self._seen = {kind: Seen() for kind in POLICY_KINDS}

    def recall(self) -> None:
        """Begin with the last good versions, as long as nothing newer is told."""
        for uid in sorted(self._folder.names()):
            if kept := self._read_kept(uid):
                key = key_of(kept["kind"], kept["value"])
                self._know(key, _known(kept["value"], *_parse(key, kept["value"], is_new=False)))

    def prepare(self, key: PolicyKey, value: Mapping[str, Any]) -> dict[str, Any]:
        """Read a policy before it is put, and return as much of it as putting needs then.

        Takes seconds where it is large, so it may be called without the lock.
        """
        known, version = self._known.get(key), _version(key, value)
        is_known = known is not None and (key, known.uid, known.generation) == version
        if not is_known and version not in self._prepared:
            self._prepared[version] = _parse(key, value)
        return {"metadata": {name: value["metadata"][name] for name in _NAMING if name in value["metadata"]}}

    def replace(self, kind: str, values: Iterable[Mapping[str, Any]]) -> None:
        """These are all policies of a kind."""
        present = {key_of(kind, value): value for value in values}
        for key in [key for key in self._known if key.kind == kind and key not in present]:
            self.remove(key)
        for key, value in present.items():
            self.put(key, value)
        for version in [each for each in list(self._prepared) if each[0].kind == kind]:
            del self._prepared[version]  # of a picture that was never completed

    def put(self, key: PolicyKey, value: Mapping[str, Any]) -> None:
        """A policy came or changed."""
        known = self._known.get(key)
        if known and known.uid != value["metadata"]["uid"]:
            self.remove(key)  # another policy of the same name: nothing of the old one is its own
            known = None
        if known and known.generation == value["metadata"]["generation"]:
            return  # the status has changed
        if known:
            self._seen[key.kind].remove(known.uid, known.generation)
        self._know(key, self._read(key, value, known))

    def remove(self, key: PolicyKey) -> None:
        """A policy is gone."""
        known = self._known.pop(key, None)
        self._in_force = None
        if known:
            self._seen[key.kind].remove(known.uid, known.generation)
            self._folder.remove(known.uid)
            log.info("policy_removed", policy=str(key))

    def forget_unknown(self) -> None:
        """All kinds are known: what is left on disk is of policies that were removed while no agent ran."""
        for uid in self._folder.names() - {known.uid for known in self._known.values()}:
            self._folder.remove(uid)

    def in_force(self) -> InForce:
        """What is in force."""
        if self._in_force is None:
            self._in_force = InForce(known.accepted for known in self._known.values() if known.accepted)
        return self._in_force

    def seen(self) -> dict[str, str]:
        """A word a kind for all versions that are known (`policy.seen`)."""
        return {kind: seen.word() for kind, seen in self._seen.items()}

    def known(self) -> dict[PolicyKey, Known]:
        """What became of every policy."""
        return dict(self._known)

    def _know(self, key: PolicyKey, known: Known) -> None:
        self._known[key] = known
        self._in_force = None
        self._seen[key.kind].add(known.uid, known.generation)

    def _read(self, key: PolicyKey, value: Mapping[str, Any], known: Known | None) -> Known:
        prepared = self._prepared.pop(_version(key, value), None)
        accepted, problems = prepared if prepared is not None else _parse(key, value)
        if accepted:
            self._keep(key, value["metadata"]["uid"], accepted)
            log.info("policy_accepted", policy=str(key), generation=accepted.generation)
            return _known(value, accepted)
        kept = known.accepted if known else self._kept(key, value)
        for problem in problems:
            log.error(
                "policy_refused", policy=str(key), field=problem.field, error=str(problem),
                kept=kept.generation if kept else None,
            )  # fmt: skip
        return _known(value, kept, problems)

    def _kept(self, key: PolicyKey, value: Mapping[str, Any]) -> Accepted | None:
        kept = self._read_kept(value["metadata"]["uid"])
        return _parse(key, kept["value"], is_new=False)[0] if kept else None

    def _read_kept(self, uid: str) -> dict[str, Any] | None:
        try:
            kept: dict[str, Any] | None = self._folder.read(uid)
        except Damaged as error:
            log.error("policy_not_kept", policy=uid, error=str(error))
            return None
        return kept

    def _keep(self, key: PolicyKey, uid: str, accepted: Accepted) -> None:
        try:
            self._folder.write(uid, {"kind": key.kind, "value": accepted.document()})
        except OSError as error:
            log.error("policy_not_kept", policy=str(key), error=error.strerror)


def _known(value: Mapping[str, Any], accepted: Accepted | None, problems: tuple[Problem, ...] = ()) -> Known:
    return Known(value["metadata"]["uid"], int(value["metadata"]["generation"]), accepted, problems)


def _version(key: PolicyKey, value: Mapping[str, Any]) -> _Version:
    return key, value["metadata"]["uid"], int(value["metadata"]["generation"])


def _parse(key: PolicyKey, value: Mapping[str, Any], *, is_new: bool = True) -> _Read:
    """What a policy says. Whether one fits that is not new was found out when it was.

    The items of a list, and old copies, may lack apiVersion and kind: the path they were read at says them.
    """
    document = {**value, "apiVersion": API_VERSION, "kind": key.kind}
    document.pop("status", None)
    parsed = parse_object(document, str(key))
    if parsed.problems or not parsed.policies:
        return None, parsed.problems
    policy = parsed.policies[0]
    if is_new and (problem := misfit(resolve(policy), (str(key), 0), f"{policy.namespace}/{policy.name}".lstrip("/"))):
        return None, (problem,)
    return accept(key, policy, document), ()
