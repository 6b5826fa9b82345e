"""The lowered form of a set decides what the reference model says."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead import abi
from bulkhead.abi import Operation, Question
from bulkhead.errors import DoesNotFit
from bulkhead.policy import oracle
from bulkhead.policy.lower import lower
from bulkhead.policy.lower_decision import decision
from bulkhead.policy.merge import merge
from bulkhead.policy.operations import PRIVILEGED
from bulkhead.policy.rules import (
    Action,
    CapabilityRule,
    Default,
    Mode,
    NetworkRule,
    PathRule,
    Peer,
    PolicyRules,
    Provenance,
    RuleReference,
    Section,
    SocketRule,
)
from bulkhead.policy.sockets import FAMILIES, TYPES
from tests.unit.policy.kernel_view import EXEC_QUESTIONS, connection_decision, judgement, path_decision, socket_decision
from tests.unit.policy.strategies import (
    ADDRESSES,
    MOUNT_POINTS,
    PATH_OPERATION_LIST,
    PORT_NUMBERS,
    PROTOCOLS,
    paths_like,
    policies,
)

_THRIFTY = settings(max_examples=40, deadline=None)
_THOROUGH = settings(max_examples=150, deadline=None)
_RULE = RuleReference("shop", "web", "files", "rules[0]")


def _deny(*patterns: str) -> PolicyRules:
    rule = PathRule(_RULE, Mode.ENFORCE, Action.DENY, frozenset([Operation.READ]), patterns)
    return PolicyRules(paths=(rule,))


@_THOROUGH
@given(st.data())
def test_paths_are_decided_as_the_reference_says(data: st.DataObject) -> None:
    """Verdict, deciding rule and audit rule of every operation, for any path under any policies."""
    said = data.draw(policies(Section.EXEC, Section.FILES))
    image = lower(merge(said))
    for path in data.draw(st.lists(paths_like(said), min_size=8, max_size=12)):
        for operation in (Operation.EXEC, Operation.READ, Operation.CREATE, Operation.MAP):
            assert path_decision(image, operation, path) == oracle.judge_path(said, operation, path), path


@_THOROUGH
@given(st.data())
def test_executing_is_decided_by_where_a_file_comes_from(data: st.DataObject) -> None:
    """Each provenance has its answer at every path, and libraries of the image theirs."""
    said = data.draw(policies(Section.EXEC))
    image = lower(merge(said))
    for path in data.draw(st.lists(paths_like(said), min_size=4, max_size=8)):
        for provenance, question in EXEC_QUESTIONS.items():
            expected = oracle.judge_path(said, Operation.EXEC, path, provenance=provenance)
            assert path_decision(image, question, path) == expected, (path, provenance)
        assert path_decision(image, Question.LIBRARY, path) == oracle.judge_library(said, path), path


@_THRIFTY
@given(policies(Section.EXEC))
def test_what_no_path_leads_to_is_fileless(said: list[PolicyRules]) -> None:
    """Rules without patterns match it; no pattern does."""
    expected = oracle.judge_path(said, Operation.EXEC, provenance=Provenance.FILELESS)
    assert path_decision(lower(merge(said)), Question.EXEC_FILELESS, b"\0") == expected


@_THOROUGH
@given(st.data())
def test_a_tree_seen_at_several_paths_is_decided_by_the_rules_for_any_of_them(data: st.DataObject) -> None:
    """A start group is the union of its views, and the strictest combination wins."""
    said = data.draw(policies(Section.FILES))
    group = data.draw(st.frozensets(MOUNT_POINTS, min_size=1, max_size=3))
    image = lower(merge(said), [group])
    for below in data.draw(st.lists(paths_like(said), min_size=8, max_size=8)):
        seen = [below if mount == b"/" else mount if below == b"/" else mount + below for mount in group]
        expected = oracle.judge_path(said, Operation.WRITE, *seen)
        assert path_decision(image, Operation.WRITE, below, image.automaton.starts[0]) == expected, (group, below)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_packets_are_decided_as_the_reference_says(data: st.DataObject) -> None:
    """Every family, protocol and port, at the ends of every range, ports that cannot be known included."""
    said = data.draw(policies(Section.EGRESS))
    image = lower(merge(said))
    for address in ADDRESSES:
        for protocol in PROTOCOLS:
            ports = [None, *data.draw(st.permutations(PORT_NUMBERS))[:10]] if protocol in (6, 17) else [None]
            for port in ports:
                expected = oracle.judge_connection(said, address, protocol, port)
                assert connection_decision(image, address, protocol, port) == expected, (address, protocol, port)


@_THRIFTY
@given(policies(Section.CAPABILITIES))
def test_capabilities_are_decided_as_the_reference_says(said: list[PolicyRules]) -> None:
    """Each of the kernel's numbers, those that no rule names included."""
    (answers,) = (image := lower(merge(said))).subjects
    assert len(answers.capabilities) == abi.CAPABILITIES
    for number in range(8):
        assert judgement(image, answers.capabilities[number]) == oracle.judge_capability(said, number)


@_THRIFTY
@given(policies(Section.OPERATIONS))
def test_privileged_operations_are_decided_as_the_reference_says(said: list[PolicyRules]) -> None:
    """Each of them; they fill the column and no more."""
    image = lower(merge(said))
    assert len(image.subjects[0].operations) == abi.PRIVILEGED_OPERATIONS
    for operation in PRIVILEGED:
        word = image.subjects[0].operations[operation - abi.OPERATION_PRIVILEGED]
        assert judgement(image, word) == oracle.judge_operation(said, operation)


@_THRIFTY
@given(policies(Section.SOCKETS))
def test_sockets_are_decided_as_the_reference_says(said: list[PolicyRules]) -> None:
    """Every number of a family and of a type, those without a name included."""
    image = lower(merge(said))
    for family in range(abi.ADDRESS_FAMILIES):
        for kind in range(abi.SOCKET_KINDS):
            assert socket_decision(image, family, kind) == oracle.judge_socket(said, family, kind), (family, kind)


def test_every_name_has_room_in_the_table() -> None:
    """All families and types named at once, and the ones that no rule names."""
    rules = tuple(
        SocketRule(replace(_RULE, rule=f"rules[{n}]"), Mode.ENFORCE, Action.DENY, families, types)
        for n, (families, types) in enumerate(
            [(frozenset(FAMILIES.values()), frozenset[int]()), (frozenset[int](), frozenset(TYPES.values()))]
        )
    )
    image = lower(merge([PolicyRules(sockets=rules)]))
    assert 1 + max(image.subjects[0].sockets.rows) == abi.SOCKET_ROWS
    assert max(image.subjects[0].sockets.columns) < abi.SOCKET_COLUMNS
    assert abi.SOCKET_ROWS * abi.SOCKET_COLUMNS == len(image.subjects[0].sockets.cells) == abi.SOCKET_CELLS


def test_too_many_different_answers_to_sockets_are_refused() -> None:
    """One rule for each of 33 combinations of a family and a type."""
    pairs = [(family, kind) for family in FAMILIES.values() for kind in TYPES.values()][: abi.SOCKET_DECISIONS]
    rules = [
        SocketRule(replace(_RULE, rule=f"r{n}"), Mode.ENFORCE, Action.DENY, frozenset([family]), frozenset([kind]))
        for n, (family, kind) in enumerate(pairs)
    ]
    (answers,) = lower(merge([PolicyRules(sockets=tuple(rules[1:]))])).subjects
    assert len(answers.sockets.decisions) == abi.SOCKET_DECISIONS
    with pytest.raises(DoesNotFit, match=r"33.*32"):
        lower(merge([PolicyRules(sockets=tuple(rules))]))


@_THRIFTY
@given(policies(*Section))
def test_what_cannot_be_resolved_is_decided_by_the_strictest_rule_that_could_match(said: list[PolicyRules]) -> None:
    """Paths by operation, and packets."""
    (answers,) = (image := lower(merge(said))).subjects
    for operation in PATH_OPERATION_LIST:
        expected = oracle.judge_unresolved_path(said, operation)
        assert judgement(image, answers.unresolved[operation]) == expected
    for provenance, question in EXEC_QUESTIONS.items():
        expected = oracle.judge_unresolved_path(said, Operation.EXEC, provenance)
        assert judgement(image, answers.unresolved[question]) == expected
    without_defaults = [replace(policy, defaults=()) for policy in said]
    expected = oracle.judge_unresolved_path(without_defaults, Operation.EXEC)
    assert judgement(image, answers.unresolved[Question.LIBRARY]) == expected
    assert judgement(image, answers.network_unresolved) == oracle.judge_unresolved_packet(said)


@_THRIFTY
@given(policies(*Section))
def test_flags_say_what_the_kernel_must_look_at(said: list[PolicyRules]) -> None:
    """A part has its flag exactly if some access to it may be denied or reported."""
    (answers,) = (image := lower(merge(said))).subjects
    words = {
        abi.SET_HAS_PATHS: [*answers.unresolved, *(word for outcome in image.outcomes for word in outcome)],
        abi.SET_HAS_CAPABILITIES: answers.capabilities,
        abi.SET_HAS_OPERATIONS: answers.operations,
        abi.SET_HAS_SPECIAL_FILES: answers.operations[11:14],
        abi.SET_HAS_SOCKETS: answers.sockets.decisions,
        abi.SET_HAS_NETWORK: [answers.network_unresolved, *(port.decision for port in image.ports)],
    }
    for flag, decisions in words.items():
        assert bool(image.flags & flag) == any(decisions)
    exec_answers = ((each[0], each[9], each[10], each[11]) for each in (*image.outcomes, answers.unresolved))
    assert bool(image.flags & abi.SET_HAS_PROVENANCE) == any(len(set(each)) > 1 for each in exec_answers)
    blocking = {word & abi.DECISION_VERDICT_MASK for part in words.values() for word in part} & {3, 4}
    assert bool(image.flags & abi.SET_MAY_BLOCK) == bool(blocking)
    assert bool(answers.prefixes) == bool(image.flags & abi.SET_HAS_NETWORK)


def test_no_policies_allow_everything_without_a_slot() -> None:
    """The empty set costs nothing: no flags, no slots, the silent outcome at once."""
    image = lower(merge([]))
    assert image.flags == 0
    assert image.automaton.root == abi.STATE_SINK | abi.OUTCOME_SILENT
    assert len(image.automaton.slots) == 0
    assert image.outcomes == ((0,) * abi.PATH_QUESTIONS,)
    assert image.subjects[0].prefixes == ()
    assert image.ports == ()


def test_one_denied_file_is_one_word_of_one_outcome() -> None:
    """The decision names rule 1, for its operation only."""
    image = lower(merge([_deny("/etc/shadow")]))
    denied = decision(abi.Verdict.DENY, 1)
    assert denied == 0x13
    assert image.outcomes[1] == (0, denied, *[0] * (abi.PATH_QUESTIONS - 2))
    assert image.flags == abi.SET_HAS_PATHS | abi.SET_MAY_BLOCK


def test_an_audit_policy_never_silences_an_enforced_default_of_audit() -> None:
    """What an enforced policy reports is reported, whatever a policy in mode Audit says."""
    audited = Default(replace(_RULE, rule="default"), Mode.ENFORCE, Section.CAPABILITIES, Action.AUDIT)
    shadow = CapabilityRule(replace(_RULE, policy="a"), Mode.AUDIT, Action.ALLOW, frozenset([3]))
    image = lower(merge([PolicyRules(defaults=(audited,)), PolicyRules(capabilities=(shadow,))]))
    assert judgement(image, image.subjects[0].capabilities[3]).audit == audited.reference


def test_equal_answers_share_a_class() -> None:
    """Addresses that different rules allow alike are one class: allow-lists stay small."""
    peers = [Peer(network) for network in (IPv4Network("10.0.0.0/8"), IPv4Network("192.168.0.0/16"))]
    rules = tuple(
        NetworkRule(replace(_RULE, rule=f"rules[{n}]"), Mode.ENFORCE, Action.ALLOW, (peer,), ())
        for n, peer in enumerate(peers)
    )
    default = Default(replace(_RULE, rule="default"), Mode.ENFORCE, Section.EGRESS, Action.DENY)
    image = lower(merge([PolicyRules(networks=rules, defaults=(default,))]))
    assert [(str(network), found) for network, found in image.subjects[0].prefixes] == [
        ("::/0", 0),
        ("::ffff:0:0/96", 0),
        ("::ffff:a00:0/104", 1),
        ("::ffff:c0a8:0/112", 1),
    ]
    assert len(image.ports) == 2


def test_patterns_that_explode_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap ends the construction early, and the message names the pattern to mend."""
    monkeypatch.setattr("bulkhead.policy.automaton.MAX_STATES", 500)
    with pytest.raises(DoesNotFit, match=r"/d/\*a\?\?\?\?\?\?\?\?\?\?.*500"):
        lower(merge([_deny("/etc/shadow", "/d/*a??????????")]))


def test_outcomes_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """More distinct answers than the kernel's table holds are refused before anything is built."""
    monkeypatch.setattr(abi, "MAX_OUTCOMES", 1)
    with pytest.raises(DoesNotFit, match="distinct answers"):
        lower(merge([_deny("/etc/shadow")]))


def test_slots_beyond_the_arena_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An automaton that is larger than the arena is refused before it is packed."""
    monkeypatch.setattr(abi, "ARENA_SLOTS", 10)
    with pytest.raises(DoesNotFit, match="automaton slots"):
        lower(merge([_deny("/etc/shadow")]))


def test_the_digest_depends_on_start_groups() -> None:
    """Images that differ never share a digest; equal input always does."""
    policy_set = merge([_deny("/etc/shadow")])
    groups = [frozenset([b"/etc"]), frozenset([b"/vol"])]
    assert lower(policy_set).digest == policy_set.digest
    assert lower(policy_set, groups[:1]).digest != lower(policy_set, groups[1:]).digest
    assert lower(policy_set, groups).digest == lower(policy_set, groups).digest
