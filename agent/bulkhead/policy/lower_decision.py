"""From the rules that match an access to the word that the kernel acts on.

Rules are bits: bit n of a mask is rule number n of the set, so "the first in canonical order" is the lowest bit and
precedence is a few operations on integers, whatever the number of rules. The meaning is that of `policy.oracle`,
written independently. Next step: `lower_paths`, `lower_network` and `lower` ask for decisions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bulkhead import abi
from bulkhead.policy.merge import PolicySet
from bulkhead.policy.rules import Action, Default, Mode, Section

_VERDICTS = {Action.DENY: abi.Verdict.DENY, Action.KILL: abi.Verdict.KILL}


def decision(verdict: abi.Verdict, rule: int = 0, audit: int = 0) -> int:
    """The word of abi.h: verdict, number of the rule that decided, number of the rule that reports."""
    return int(verdict) | rule << abi.DECISION_RULE_SHIFT | audit << abi.DECISION_AUDIT_SHIFT


def blocks(word: int) -> bool:
    """Whether a decision denies or kills."""
    return word & abi.DECISION_VERDICT_MASK >= abi.Verdict.DENY


def numbers(mask: int) -> Iterable[int]:
    """The rules of a mask, lowest number first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


@dataclass(frozen=True)
class _Winner:
    """A statement that decides where nothing explicit does: an action and a rule number (0 where nobody speaks)."""

    action: Action = Action.ALLOW
    number: int = 0


@dataclass(frozen=True)
class _Defaults:
    """Who decides a section without a matching rule: among policies of mode Enforce, and among all."""

    enforced: _Winner
    shadow: _Winner


class Judge:
    """Decides for any set of matching rules of one policy set. `enforce` are the statements of mode Enforce.

    Rules outside the mask `holding` never match: those that are not about the acting program (`policy.lower_subjects`).
    """

    def __init__(self, policy_set: PolicySet, holding: int = -1) -> None:
        self._holding = holding
        self._by_action = {action: 0 for action in Action}
        self.enforce = 0
        defaults: dict[Section, list[tuple[int, Default]]] = {section: [] for section in Section}
        for number, statement in enumerate(policy_set.statements, start=1):
            if statement.mode is Mode.ENFORCE:
                self.enforce |= 1 << number
            if isinstance(statement, Default):
                defaults[statement.section].append((number, statement))
            else:
                self._by_action[statement.action] |= 1 << number
        self._defaults = {section: _defaults(said) for section, said in defaults.items()}

    @property
    def strict(self) -> int:
        """All Deny and Kill rules."""
        return self._by_action[Action.DENY] | self._by_action[Action.KILL]

    def decide(self, matching: int, section: Section) -> int:
        """The decision about an access that exactly the rules of the mask `matching` match."""
        matching &= self._holding
        defaults = self._defaults[section]
        real = self._explicit(matching & self.enforce) or defaults.enforced
        shadow = self._explicit(matching) or defaults.shadow
        audit = _first(matching & self._by_action[Action.AUDIT])
        for winner in (shadow, real):
            if not audit and winner.action is Action.AUDIT:
                audit = winner.number
        return _word(real, shadow, audit)

    def decide_explicit(self, matching: int) -> int:
        """The same by rules alone, as if no section had a default."""
        matching &= self._holding
        real = self._explicit(matching & self.enforce) or _Winner()
        shadow = self._explicit(matching) or _Winner()
        return _word(real, shadow, _first(matching & self._by_action[Action.AUDIT]))

    def decide_unresolved(self, possible: int, section: Section) -> int:
        """The decision where only a rule of the mask `possible` could have matched, and it is not known which."""
        possible &= self._holding
        defaults = self._defaults[section]
        real = self._strictest(possible & self.enforce, defaults.enforced)
        return _word(real, self._strictest(possible, defaults.shadow), 0)

    def decide_unresolved_explicit(self, possible: int) -> int:
        """The same by rules alone."""
        possible &= self._holding
        real = self._strictest(possible & self.enforce, _Winner())
        return _word(real, self._strictest(possible, _Winner()), 0)

    def dominated(self, matching: int) -> int:
        """The rules that change no decision, whatever else matches, as long as those of `matching` do.

        A rule that blocks makes all weaker ones idle, and of equal action only the first can be named. Rules of mode
        Audit only count while nothing blocks.
        """
        kill, deny, allow, audit = (self._by_action[a] for a in (Action.KILL, Action.DENY, Action.ALLOW, Action.AUDIT))
        idle = _from_first(audit, matching)
        for members in (self.enforce, ~self.enforce):
            if matching & kill & members:
                idle |= _from_first(kill & members, matching) | deny & members | allow & members
            elif matching & deny & members:
                idle |= _from_first(deny & members, matching) | allow & members
            elif matching & allow & members:
                idle |= allow & members
        if matching & self.enforce & (kill | deny):
            idle |= (kill | deny | allow) & ~self.enforce
        elif matching & self.enforce & allow:
            idle |= allow & ~self.enforce
        return idle

    def _explicit(self, matching: int) -> _Winner | None:
        for action in (Action.KILL, Action.DENY, Action.ALLOW):
            deciding = matching & self._by_action[action]
            if deciding:
                return _Winner(action, _first(deciding))
        return None

    def _strictest(self, possible: int, default: _Winner) -> _Winner:
        explicit = self._explicit(possible & self.strict)
        if explicit is None or default.action > explicit.action:
            return default
        if default.action is explicit.action and default.number < explicit.number:
            return default
        return explicit


def _word(real: _Winner, shadow: _Winner, audit: int) -> int:
    if real.action in _VERDICTS:
        return decision(_VERDICTS[real.action], real.number, audit)
    if shadow.action in _VERDICTS:
        return decision(abi.Verdict.WOULD_DENY, shadow.number, audit)
    return decision(abi.Verdict.ALLOW, 0, audit)


def _defaults(said: list[tuple[int, Default]]) -> _Defaults:
    return _Defaults(
        enforced=_strictest_default([(number, default) for number, default in said if default.mode is Mode.ENFORCE]),
        shadow=_strictest_default(said),
    )


def _strictest_default(said: list[tuple[int, Default]]) -> _Winner:
    """The first of the strictest: `said` is in the order of numbers, and max keeps the first of equals."""
    if not said:
        return _Winner()
    number, default = max(said, key=lambda item: item[1].action)
    return _Winner(default.action, number)


def _first(mask: int) -> int:
    return (mask & -mask).bit_length() - 1 if mask else 0


def _from_first(kind: int, matching: int) -> int:
    """The rules of `kind` from the first one that matches on; none where none does."""
    matching &= kind
    return kind & -(matching & -matching) if matching else 0
