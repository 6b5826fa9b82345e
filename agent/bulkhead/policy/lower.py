"""A policy set as the kernel will hold it: pure data, computed without a kernel.

Everything that must hold for every access is decided here, ahead of time, so that the kernel only looks up. Start here,
then `lower_subjects`, `lower_paths`, `lower_network`, `lower_sockets` and `lower_decision`; `policy.oracle` is the
meaning that the tests hold them to. Next step: `enforcement` places the image in the maps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from bulkhead import abi
from bulkhead.errors import DoesNotFit
from bulkhead.policy.image import SetImage, SubjectImage
from bulkhead.policy.lower_decision import Judge, blocks
from bulkhead.policy.lower_network import LoweredNetwork, lower_network
from bulkhead.policy.lower_paths import LoweredPaths, lower_paths
from bulkhead.policy.lower_sockets import lower_sockets
from bulkhead.policy.lower_subjects import borrowing_decision, find_subjects
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import CapabilityRule, OperationRule, Section

_SPECIAL_FILES = (abi.Operation.RAW_DEVICE, abi.Operation.PROC_MEM, abi.Operation.KERNEL_SETTINGS)


def lower(policy_set: PolicySet, start_groups: Sequence[frozenset[bytes]] = ()) -> SetImage:
    """The image of a set. Each start group is the set of paths at which one directory tree is visible.

    Raises DoesNotFit, before anything is changed, where a limit of abi.h or the cap on states would be exceeded.
    """
    if len(policy_set.statements) > abi.DECISION_RULE_MASK:
        raise DoesNotFit("rules of one policy set", len(policy_set.statements), abi.DECISION_RULE_MASK)
    subjects = find_subjects(policy_set, start_groups)
    judges = [Judge(policy_set, holding) for holding in subjects.holding]
    network = lower_network(policy_set, judges)
    paths = lower_paths(policy_set, subjects, judges, start_groups)
    answers = tuple(
        SubjectImage(
            unresolved=paths.unresolved[number],
            capabilities=_lower_capabilities(policy_set, judge),
            operations=_lower_operations(policy_set, judge),
            sockets=lower_sockets(policy_set, judge),
            network_unresolved=network.unresolved[number],
            prefixes=network.prefixes[number],
        )
        for number, judge in enumerate(judges)
    )
    return SetImage(
        digest=digest_of(policy_set, start_groups),
        flags=_flags(paths, network, answers),
        rules=policy_set.references,
        automaton=paths.automaton,
        outcomes=paths.outcomes,
        programs=paths.programs,
        subjects=answers,
        borrowing=borrowing_decision(policy_set),
        ports=network.ports,
    )


def digest_of(policy_set: PolicySet, start_groups: Sequence[frozenset[bytes]]) -> str:
    """The digest that the image will have: the set's own, or, with start groups, one that depends on them too."""
    if not start_groups:
        return policy_set.digest
    groups = [sorted(group) for group in start_groups]
    return hashlib.sha256(f"{policy_set.digest} {groups!r}".encode()).hexdigest()


def _lower_capabilities(policy_set: PolicySet, judge: Judge) -> tuple[int, ...]:
    matching = [0] * abi.CAPABILITIES
    for number, statement in enumerate(policy_set.statements, start=1):
        if isinstance(statement, CapabilityRule):
            for capability in statement.capabilities:
                matching[capability] |= 1 << number
    return tuple(judge.decide(mask, Section.CAPABILITIES) for mask in matching)


def _lower_operations(policy_set: PolicySet, judge: Judge) -> tuple[int, ...]:
    matching = [0] * abi.PRIVILEGED_OPERATIONS
    for number, statement in enumerate(policy_set.statements, start=1):
        if isinstance(statement, OperationRule):
            for operation in statement.operations:
                matching[operation - abi.OPERATION_PRIVILEGED] |= 1 << number
    return tuple(judge.decide(mask, Section.OPERATIONS) for mask in matching)


def _flags(paths: LoweredPaths, network: LoweredNetwork, answers: Sequence[SubjectImage]) -> int:
    """A part of the set that allows everything to everyone in silence has no flag, so the kernel does not look."""
    special = [each - abi.OPERATION_PRIVILEGED for each in _SPECIAL_FILES]
    parts = {
        abi.SET_HAS_PATHS: [word for words in (*paths.unresolved, *paths.outcomes) for word in words],
        abi.SET_HAS_NETWORK: [*network.unresolved, *(port.decision for port in network.ports)],
        abi.SET_HAS_CAPABILITIES: [word for each in answers for word in each.capabilities],
        abi.SET_HAS_OPERATIONS: [word for each in answers for word in each.operations],
        abi.SET_HAS_SPECIAL_FILES: [each.operations[index] for each in answers for index in special],
        abi.SET_HAS_SOCKETS: [word for each in answers for word in each.sockets.decisions],
    }
    flags = sum(flag for flag, words in parts.items() if any(words))
    if any(len(set(_exec_answers(outcome))) > 1 for outcome in (*paths.outcomes, *paths.unresolved)):
        flags |= abi.SET_HAS_PROVENANCE
    flags |= abi.SET_MAY_BLOCK if _any_blocks(parts.values()) else 0
    return flags | (abi.SET_HAS_SUBJECTS if len(answers) > 1 else 0)


def _exec_answers(outcome: tuple[int, ...]) -> tuple[int, ...]:
    return (outcome[abi.Operation.EXEC], *outcome[abi.PATH_OPERATIONS :])


def _any_blocks(parts: Iterable[list[int]]) -> bool:
    return any(blocks(word) for words in parts for word in words)
