"""Rules such as people write, as many as are asked for: half of them name one file, the others use wildcards."""

from __future__ import annotations

import random

from bulkhead.abi import Operation
from bulkhead.policy.rules import Action, Mode, PathRule, PolicyRules, RuleReference

_ROOTS = ("app", "lib", "etc", "data", "srv", "conf", "cache", "log", "run", "user", "share", "bin")
_WORDS = [root + suffix for root in _ROOTS for suffix in ("", "-main", "2", "_x", ".d", "s")]
_ENDINGS = (
    "file{0}.conf",
    "file{0}",
    "lib{0}.so.1",
    "unit-{0}",
    "**",
    "**",
    "*.so",
    "prefix{0}*",
    "*/name{1}",
    "{1}/*",
)
_ACTIONS = (Action.DENY, Action.DENY, Action.ALLOW, Action.AUDIT, Action.KILL)
_OPERATIONS = (Operation.READ, Operation.WRITE, Operation.CREATE)
_RULES_A_POLICY = 1_000


def ordinary_rules(count: int, variant: int = 0) -> list[PolicyRules]:
    """`count` rules on files, the same each time; others in each variant."""
    chance = random.Random(count + 1_000_003 * variant)
    rules = [_rule(chance, number) for number in range(count)]
    return [PolicyRules(paths=tuple(rules[at : at + _RULES_A_POLICY])) for at in range(0, count, _RULES_A_POLICY)]


def _rule(chance: random.Random, number: int) -> PathRule:
    directory = "".join(f"/{_element(chance)}" for _ in range(chance.randint(2, 6)))
    ending = chance.choice(_ENDINGS).format(number, number % 37)
    policy, position = divmod(number, _RULES_A_POLICY)
    return PathRule(
        reference=RuleReference("shop", f"policy{policy}", "files", f"rules[{position}]"),
        mode=Mode.ENFORCE,
        action=chance.choice(_ACTIONS),
        operations=frozenset(chance.sample(_OPERATIONS, chance.randint(1, 3))),
        patterns=(f"{directory}/{ending}",),
    )


def _element(chance: random.Random) -> str:
    word = chance.choice(_WORDS)
    return f"{word}{chance.randint(0, 99)}" if chance.random() < 0.3 else word
