"""Why an access is decided as it is: which rules match it, which of them decides, and where each is written. Pure.

The verdict is the reference model's. Which rules match is asked of it too, one rule at a time, so that nothing here
knows what matching means: a rule that allows is asked about as an Audit rule, which matches alike and is reported.
Next step: `cli.policy_question` puts it into words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from bulkhead.policy.model import Policy
from bulkhead.policy.oracle import Judgement, Rule
from bulkhead.policy.parse import FieldPath, Parsed
from bulkhead.policy.rules import Action, Default, Mode, PolicyRules, RuleReference, Section

Question = Callable[[Iterable[PolicyRules]], Judgement]
"""One access, asked of the reference model: `lambda policies: judge_capability(policies, 13)`."""


@dataclass(frozen=True)
class Explanation:
    """`decides` is the statement that made the verdict, None where nobody speaks of the access.

    `matching` are all rules that match it, `defaults` those of its section, both in canonical order.
    """

    judgement: Judgement
    decides: Rule | Default | None
    matching: tuple[Rule, ...]
    defaults: tuple[Default, ...]


def explain(policies: Sequence[PolicyRules], section: Section, question: Question) -> Explanation:
    """What decides an access of a section, under all the policies together."""
    judgement = question(policies)
    matching = [rule for name, rule in _rules(policies) if _matches(name, rule, question)]
    defaults = [default for policy in policies for default in policy.defaults if default.section is section]
    matching.sort(key=_reference)
    defaults.sort(key=_reference)
    return Explanation(judgement, _deciding(judgement, matching, defaults), tuple(matching), tuple(defaults))


def places(parsed: Parsed) -> dict[str, str]:
    """`file:line` of each rule and default of some documents, by the id that violations show."""
    found = {}
    for policy, place in zip(parsed.policies, parsed.places, strict=True):
        for section in Section:
            for rule, field in _written(policy, section):
                reference = RuleReference(policy.namespace, policy.name, section.value, rule)
                line = place.line_of(field)
                found[reference.id] = f"{place.file}:{line}" if line else place.file
    return found


def _written(policy: Policy, section: Section) -> Iterator[tuple[str, FieldPath]]:
    """The rules of a section and its default by their names in violations, and the fields that they are."""
    path: FieldPath = ("spec", *section.value.split("."))
    part: Any = policy
    for name in path:
        part = getattr(part, str(name), None)
    for index, rule in enumerate(getattr(part, "rules", ())):
        yield rule.name or f"rules[{index}]", (*path, "rules", index)
    if part is not None and part.default:
        yield "default", (*path, "default")


def _rules(policies: Iterable[PolicyRules]) -> Iterator[tuple[str, Rule]]:
    """Each rule, and the field of `PolicyRules` that it belongs to."""
    for policy in policies:
        for kind in fields(policy):
            if kind.name != "defaults":
                yield from ((kind.name, rule) for rule in getattr(policy, kind.name))


def _matches(name: str, rule: Rule, question: Question) -> bool:
    asked = replace(rule, action=Action.AUDIT) if rule.action is Action.ALLOW else rule
    alone: dict[str, Any] = {name: (asked,)}
    answer = question([PolicyRules(**alone)])
    return rule.reference in (answer.rule, answer.audit)


def _deciding(judgement: Judgement, matching: Sequence[Rule], defaults: Sequence[Default]) -> Rule | Default | None:
    said: list[Rule | Default] = [*matching, *defaults]
    if judgement.rule:
        return next(each for each in said if each.reference == judgement.rule)
    for rule in matching:
        if rule.mode is Mode.ENFORCE and rule.action is Action.ALLOW:
            return rule
    enforced = [default for default in defaults if default.mode is Mode.ENFORCE]
    return max(enforced, key=lambda default: default.action, default=None)


def _reference(said: Rule | Default) -> RuleReference:
    return said.reference
