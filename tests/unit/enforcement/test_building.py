"""Large sets are built beside the agent: whoever asks is told to ask again, and an error is told as it would be."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import pytest

from bulkhead.abi import Operation
from bulkhead.enforcement import building
from bulkhead.enforcement.building import Workshop, build_apart, is_quick
from bulkhead.errors import DoesNotFit, NotEnforceable, StillBuilding
from bulkhead.policy.image import SetImage
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import PolicySet, merge
from bulkhead.policy.rules import Action, Mode, PathRule, PolicyRules, RuleReference
from tests.bench.ordinary import ordinary_rules

ENDS_S = 120  # of a process on a busy machine
GROUPS = (frozenset([b"/a", b"/b"]),)


def _set(*patterns: str) -> PolicySet:
    reference = RuleReference("shop", "web", "files", "rules[0]")
    rule = PathRule(reference, Mode.ENFORCE, Action.DENY, frozenset([Operation.READ]), patterns)
    return merge([PolicyRules(paths=(rule,))])


EXPLODING = _set("/d/*a" + "?" * 30)


def _built(workshop: Workshop, policy_set: PolicySet) -> SetImage:
    with pytest.raises(StillBuilding, match="what was enforced goes on") as waiting:
        workshop.image(policy_set, GROUPS)
    assert waiting.value.ended.wait(ENDS_S)
    return workshop.image(policy_set, GROUPS)


@pytest.fixture
def apart(monkeypatch: pytest.MonkeyPatch) -> list[PolicySet]:
    """What was built apart; in this process, as far as the test is concerned."""
    asked: list[PolicySet] = []

    def build(policy_set: PolicySet, groups: building.StartGroups) -> SetImage:
        asked.append(policy_set)
        return lower(policy_set, groups)

    monkeypatch.setattr(building, "build_apart", build)
    return asked


def test_another_process_builds_the_same() -> None:
    """The whole image, with start groups; and a refusal with its number, limit and names."""
    policy_set = merge(ordinary_rules(150))
    assert build_apart(policy_set, GROUPS) == lower(policy_set, GROUPS)
    with pytest.raises(DoesNotFit, match=r"/d/\*a\?\?\?.*nothing was changed"):
        build_apart(EXPLODING, ())


def test_a_process_that_fails_is_a_reason_and_no_end_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be started, or ends by itself."""
    monkeypatch.setattr(building.sys, "executable", "/nowhere/python")
    with pytest.raises(NotEnforceable, match="could not begin: No such file"):
        build_apart(EXPLODING, ())
    monkeypatch.setattr(building.sys, "executable", "/bin/false")
    with pytest.raises(NotEnforceable, match="failed: status 1; what was enforced goes on"):
        build_apart(EXPLODING, ())


def test_memory_that_runs_out_is_a_refusal() -> None:
    """The process ends with an answer, and takes no more than it may."""
    code = "from bulkhead.enforcement import building; building.MEMORY_BYTES = 120 << 20; building.main()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    asked = pickle.dumps((EXPLODING, ()))
    done = subprocess.run(
        [sys.executable, "-c", code], input=asked, stdout=subprocess.PIPE, check=True, env=environment
    )
    assert pickle.loads(done.stdout) == ("bytes of memory for building one policy set", (120 << 20) + 1, 120 << 20)


def test_a_large_set_is_built_beside_and_a_small_one_at_once(apart: list[PolicySet]) -> None:
    """The same image either way; small ones keep nobody waiting."""
    workshop = Workshop()
    small, large = merge(ordinary_rules(10)), merge(ordinary_rules(300))
    assert workshop.image(small, GROUPS) == lower(small, GROUPS)
    assert apart == []
    assert _built(workshop, large) == lower(large, GROUPS)
    assert apart == [large]


def test_who_waits_gets_it(apart: list[PolicySet]) -> None:
    """What is being built already, or is begun now."""
    large = merge(ordinary_rules(300))
    assert Workshop().image(large, GROUPS, wait=True) == lower(large, GROUPS)
    assert apart == [large]


def test_what_was_built_is_built_once(apart: list[PolicySet]) -> None:
    """For other containers of the workload; in another container's mounts it is another image."""
    workshop = Workshop()
    image = _built(workshop, merge(ordinary_rules(300)))
    assert workshop.image(merge(ordinary_rules(300)), GROUPS) is image
    with pytest.raises(StillBuilding):
        workshop.image(merge(ordinary_rules(300)), ())
    assert len(apart) <= 2


def test_a_refusal_is_told_each_time_and_built_once(apart: list[PolicySet], monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that explodes costs once, however many containers it selects and however often it is tried again."""
    monkeypatch.setattr("bulkhead.policy.automaton.MAX_STATES", 1_000)
    workshop = Workshop()
    with pytest.raises(DoesNotFit, match="multiply most"):
        _built(workshop, EXPLODING)
    with pytest.raises(DoesNotFit, match="multiply most"):
        workshop.image(EXPLODING, GROUPS)
    assert len(apart) == 1


def test_a_failure_of_the_moment_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The node had no memory: the next time it may."""
    monkeypatch.setattr(building.sys, "executable", "/bin/false")
    workshop = Workshop()
    for _ in range(2):
        with pytest.raises(NotEnforceable, match="failed"):
            _built(workshop, EXPLODING)


def test_only_the_latest_are_kept(apart: list[PolicySet], monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by number and by size; what was asked for last stays in any case."""
    workshop = Workshop()
    monkeypatch.setattr(building, "KEPT", 3)
    for number in range(10):
        workshop.image(_set(f"/{number}"), ())
    assert len(workshop._jobs) == 3
    monkeypatch.setattr(building, "KEPT_SLOTS", 1)
    workshop.image(_set("/other"), ())
    assert len(workshop._jobs) == 1


@pytest.mark.parametrize(
    ("policy_set", "quick"),
    [
        (merge([]), True),
        (merge(ordinary_rules(100)), False),
        (_set("/etc/**", "/usr/bin/*", *(f"/d/name{n}" for n in range(500))), True),
        (_set("/d/*a" + "?" * 20), False),
        (_set(*(f"/**/y{n}/**" for n in range(12))), True),
        (_set(*(f"/**/y{n}/**/z" for n in range(12))), False),
        (merge(ordinary_rules(101)), False),
    ],
)
def test_what_may_take_long_is_known_beforehand(policy_set: PolicySet, quick: bool) -> None:
    """By the number of rules, and of wildcards that may multiply states."""
    assert is_quick(policy_set) is quick
