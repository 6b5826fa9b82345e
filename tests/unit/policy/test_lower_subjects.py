"""Rules about some programs only: what each class of acting programs is answered is what the reference model says."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead import abi
from bulkhead.abi import Operation
from bulkhead.errors import DoesNotFit
from bulkhead.policy import oracle
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.operations import PRIVILEGED
from bulkhead.policy.rules import Action, CapabilityRule, Mode, PathRule, PolicyRules, Programs, RuleReference, Section
from tests.unit.policy.kernel_view import connection_decision, judgement, path_decision, socket_decision, subject_of
from tests.unit.policy.strategies import (
    ADDRESSES,
    MOUNT_POINTS,
    PATH_OPERATION_LIST,
    PROGRAMS,
    SOMEONE,
    paths_like,
    policies,
)

_RULE = PathRule(
    RuleReference("shop", "web", "files", "secrets"),
    Mode.ENFORCE,
    Action.DENY,
    frozenset([Operation.READ]),
    ("/secrets/**",),
    programs=Programs(unless=("/usr/bin/web",)),
)
_THOROUGH = settings(max_examples=100, deadline=None)
_THRIFTY = settings(max_examples=40, deadline=None)


def _known(program: bytes | None) -> oracle.Program:
    return None if program is None else (program,)


@_THOROUGH
@given(st.data())
def test_paths_are_decided_by_who_acts(data: st.DataObject) -> None:
    """Verdict, deciding rule and audit rule, for any path, any program and a program that is not known."""
    said = data.draw(policies(Section.EXEC, Section.FILES, programs=SOMEONE))
    image = lower(merge(said))
    for path in data.draw(st.lists(paths_like(said), min_size=6, max_size=6)):
        for program in PROGRAMS:
            subject = subject_of(image, program)
            for operation in (Operation.EXEC, Operation.READ):
                expected = oracle.judge_path(said, operation, path, program=_known(program))
                assert path_decision(image, operation, path, subject=subject) == expected, (path, program)


@_THRIFTY
@given(st.data())
def test_a_program_is_known_at_every_path_of_its_tree(data: st.DataObject) -> None:
    """Where a tree is visible at several paths, a program on it is on every list that names one of them."""
    said = data.draw(policies(Section.FILES, programs=SOMEONE))
    group = data.draw(st.frozensets(MOUNT_POINTS, min_size=1, max_size=3))
    image = lower(merge(said), [group])
    for below in data.draw(st.lists(paths_like(said), min_size=8, max_size=8)):
        seen = tuple(below if mount == b"/" else mount if below == b"/" else mount + below for mount in group)
        subject = subject_of(image, below, image.automaton.starts[0])
        expected = oracle.judge_path(said, Operation.WRITE, b"/a/b", program=seen)
        assert path_decision(image, Operation.WRITE, b"/a/b", subject=subject) == expected, (group, below)


@_THRIFTY
@given(policies(*Section, programs=SOMEONE))
def test_everything_else_is_decided_by_who_acts(said: list[PolicyRules]) -> None:
    """Packets, capabilities, privileged operations, sockets and what cannot be resolved."""
    image = lower(merge(said))
    for program in PROGRAMS:
        known, subject = _known(program), subject_of(image, program)
        answers = image.subjects[subject]
        for address in ADDRESSES[:4]:
            for port in (None, 22, 443):
                expected = oracle.judge_connection(said, address, 6, port, known)
                assert connection_decision(image, address, 6, port, subject) == expected
        for number in range(6):
            assert judgement(image, answers.capabilities[number]) == oracle.judge_capability(said, number, known)
        for privileged in PRIVILEGED:
            word = answers.operations[privileged - abi.OPERATION_PRIVILEGED]
            assert judgement(image, word) == oracle.judge_operation(said, privileged, known)
        for family, kind in itertools.product((1, 2, 16, 17), (1, 2, 3)):
            expected = oracle.judge_socket(said, family, kind, known)
            assert socket_decision(image, family, kind, subject) == expected
        for operation in PATH_OPERATION_LIST:
            expected = oracle.judge_unresolved_path(said, operation, program=known)
            assert judgement(image, answers.unresolved[operation]) == expected
        assert judgement(image, answers.network_unresolved) == oracle.judge_unresolved_packet(said, known)


def test_programs_that_are_treated_alike_are_one_subject() -> None:
    """Those of one answer are told apart from others, not from each other."""
    rules = tuple(replace(_RULE, programs=Programs(by=(f"/bin/{name}", f"/opt/{name}/**"))) for name in "abc")
    image = lower(merge([PolicyRules(paths=rules)]))
    assert len(image.subjects) == 2 + 3
    (shared,) = (replace(_RULE, programs=Programs(by=("/bin/a", "/bin/b", "/opt/**"))),)
    assert len(lower(merge([PolicyRules(paths=(shared,))])).subjects) == 2 + 1


def test_a_set_that_does_not_ask_who_acts_has_one_subject() -> None:
    """And no flag: the kernel looks nothing up."""
    image = lower(merge([PolicyRules(paths=(replace(_RULE, programs=Programs()),))]))
    assert len(image.subjects) == 1
    assert not image.flags & abi.SET_HAS_SUBJECTS
    assert set(image.programs) == {0}


def test_an_exception_is_for_the_program_that_is_known_to_be_it() -> None:
    """`!web`: web reads, others and the unknown do not; and the path of web alone says that it is web."""
    image = lower(merge([PolicyRules(paths=(_RULE,))]))
    verdicts = {
        program: path_decision(image, Operation.READ, b"/secrets/key", subject=subject_of(image, program)).verdict
        for program in (b"/usr/bin/web", b"/usr/bin/webs", b"/bin/sh", None)
    }
    assert verdicts.pop(b"/usr/bin/web") is abi.Verdict.ALLOW
    assert set(verdicts.values()) == {abi.Verdict.DENY}


def test_too_many_subjects_are_refused() -> None:
    """With the number and the limit, before anything changes."""
    rules = tuple(
        CapabilityRule(_RULE.reference, Mode.ENFORCE, Action.DENY, frozenset([n % 40]), Programs(by=(f"/bin/{n}",)))
        for n in range(abi.MAX_SUBJECTS)
    )
    with pytest.raises(DoesNotFit, match=f"classes of acting programs.*{abi.MAX_SUBJECTS}"):
        lower(merge([PolicyRules(capabilities=rules)]))


def test_the_digest_depends_on_who_a_rule_is_about() -> None:
    """In any order and however often a program is named; and a rule about anyone is another."""
    programs = [Programs(), Programs(by=("/a", "/b")), Programs(unless=("/a", "/b"))]
    digests = [merge([PolicyRules(paths=(replace(_RULE, programs=each),))]).digest for each in programs]
    assert len(set(digests)) == 3
    again = replace(_RULE, programs=Programs(by=("/b", "/a", "/b")))
    assert merge([PolicyRules(paths=(again,))]).digest == digests[1]


@pytest.mark.parametrize(
    ("mode", "action", "verdict", "audits"),
    [
        (Mode.ENFORCE, Action.DENY, abi.Verdict.DENY, False),
        (Mode.ENFORCE, Action.ALLOW, abi.Verdict.DENY, False),
        (Mode.AUDIT, Action.KILL, abi.Verdict.WOULD_DENY, False),
        (Mode.ENFORCE, Action.AUDIT, abi.Verdict.ALLOW, True),
    ],
)
def test_acting_as_another_program_is_denied_where_a_rule_asks(
    mode: Mode, action: Action, verdict: abi.Verdict, audits: bool
) -> None:
    """Denied, or reported where rules about programs only watch; of no interest where no rule is about programs."""
    policy = PolicyRules(paths=(replace(_RULE, mode=mode, action=action),))
    word = lower(merge([policy])).borrowing
    assert word & abi.DECISION_VERDICT_MASK == verdict
    assert bool(word >> abi.DECISION_AUDIT_SHIFT) is audits
    anyone = PolicyRules(paths=(replace(_RULE, programs=Programs()),))
    assert lower(merge([anyone])).borrowing == 0
