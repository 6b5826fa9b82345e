"""Explanations agree with what the kernel will be given, and with the text of the documents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bulkhead.abi import Operation, Verdict
from bulkhead.policy.explain import explain, places
from bulkhead.policy.lower import lower
from bulkhead.policy.merge import merge
from bulkhead.policy.oracle import judge_connection, judge_path, network_matches, path_matches, section_of
from bulkhead.policy.parse import parse_text
from bulkhead.policy.resolve import resolve
from bulkhead.policy.rules import Action, Mode, Section
from tests.unit.policy.documents import text_of
from tests.unit.policy.kernel_view import connection_decision, path_decision
from tests.unit.policy.strategies import ADDRESSES, paths_like, policies

_SETTINGS = settings(max_examples=40, deadline=None)


@_SETTINGS
@given(st.data())
def test_the_rule_that_decides_is_the_one_in_the_kernel(data: st.DataObject) -> None:
    """Verdict and rule as the lowered image has them; where it allows, an Allow rule or the default is named."""
    said = data.draw(policies(Section.EXEC, Section.FILES))
    image = lower(merge(said))
    for path in data.draw(st.lists(paths_like(said), min_size=5, max_size=5)):
        for operation in (Operation.EXEC, Operation.READ):
            found = explain(said, section_of(operation), lambda asked, o=operation, p=path: judge_path(asked, o, p))
            assert found.judgement == path_decision(image, operation, path)
            if found.judgement.verdict is not Verdict.ALLOW:
                assert found.decides is not None
                assert found.decides.reference == found.judgement.rule
            elif found.decides is not None:
                assert found.decides.mode is Mode.ENFORCE
                assert found.decides.action in (Action.ALLOW, Action.AUDIT)


@_SETTINGS
@given(st.data())
def test_all_rules_that_match_are_named_and_no_others(data: st.DataObject) -> None:
    """Whatever their action and mode: by path, and by address."""
    said = data.draw(policies(Section.FILES, Section.EGRESS))
    (path,) = data.draw(st.lists(paths_like(said), min_size=1, max_size=1))
    found = explain(said, Section.FILES, lambda asked: judge_path(asked, Operation.READ, path))
    assert {rule.reference for rule in found.matching} == {
        rule.reference
        for policy in said
        for rule in policy.paths
        if Operation.READ in rule.operations and any(path_matches(each.encode(), path) for each in rule.patterns)
    }
    address = data.draw(st.sampled_from(ADDRESSES))
    found = explain(said, Section.EGRESS, lambda asked: judge_connection(asked, address, 6, 443))
    assert found.judgement == connection_decision(lower(merge(said)), address, 6, 443)
    assert {rule.reference for rule in found.matching} == {
        rule.reference for policy in said for rule in policy.networks if network_matches(rule, address, 6, 443)
    }


def test_every_rule_has_the_line_on_which_it_begins() -> None:
    """By the id that violations show; rules without a name by their number, and defaults."""
    body = """\
  exec:
    default: Deny
    rules:
    - action: Allow
      paths: [/bin/true]
    - {name: shells, action: Deny, paths: [/bin/sh]}
  network:
    egress:
      rules:
      - name: out
        action: Deny
"""
    parsed = parse_text(text_of(body), "f.yaml")
    assert not parsed.problems
    found = places(parsed)
    assert found == {
        "default/web/exec/default": "f.yaml:6",
        "default/web/exec/rules[0]": "f.yaml:8",
        "default/web/exec/shells": "f.yaml:10",
        "default/web/network.egress/out": "f.yaml:14",
    }
    assert {reference.id for reference in merge(map(resolve, parsed.policies)).references} == found.keys()
