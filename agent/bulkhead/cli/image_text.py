"""A lowered policy set as data that people can read: numbers of the kernel boundary with their names beside them.

For `bulkhead policy render` and the golden cases. States of the automaton are numbered in the order in which they are
reached, so that a different layout of the same automaton reads the same; the size of the layout is told apart.
Next step: `cli.policy_render` prints it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bulkhead import abi

if TYPE_CHECKING:
    from bulkhead.policy.image import Automaton, PortDecision, SetImage, SocketTable, SubjectImage

_FLAGS = (
    *("SET_MAY_BLOCK", "SET_HAS_PATHS", "SET_HAS_NETWORK", "SET_HAS_CAPABILITIES", "SET_HAS_SUBJECTS"),
    *("SET_HAS_OPERATIONS", "SET_HAS_SPECIAL_FILES", "SET_HAS_SOCKETS", "SET_HAS_PROVENANCE"),
)
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
_PORT_BITS = 64  # of struct port_key, where the whole port counts
_PROTOCOL_BITS = 48
_STATE_BYTES = 8


def describe(image: SetImage) -> dict[str, object]:
    """The image as plain data, stable for machines."""
    subjects = [_subject(each) for each in image.subjects]
    told = (
        subjects[0]
        if len(subjects) == 1
        else {
            "subjects": subjects,
            "programs": _programs(image),
            "borrowing": decision_text(image.borrowing),
        }
    )
    return {
        "digest": image.digest,
        "flags": [name for name in _FLAGS if image.flags & getattr(abi, name)],
        "rules": [f"{number}: {rule.id}" for number, rule in enumerate(image.rules, start=1)],
        "automaton": {"slots": len(image.automaton.slots), "states": automaton_text(image.automaton)},
        "outcomes": [f"{number}: {_outcome(words)}" for number, words in enumerate(image.outcomes)],
        **told,
        "ports": [f"class {each.peer_class}, {_ports(each)}: {decision_text(each.decision)}" for each in image.ports],
    }


def _subject(answers: SubjectImage) -> dict[str, object]:
    """What is answered to one class of acting programs."""
    from bulkhead.policy.capabilities import capability_name  # noqa: PLC0415

    capabilities: dict[str, list[str]] = defaultdict(list)
    for number, word in enumerate(answers.capabilities):
        if word:
            capabilities[decision_text(word)].append(capability_name(number))
    return {
        "unresolved": _outcome(answers.unresolved),
        "capabilities": [f"{decision}: {', '.join(names)}" for decision, names in capabilities.items()],
        "operations": _operations(answers.operations),
        "sockets": _sockets(answers.sockets),
        "network_unresolved": decision_text(answers.network_unresolved),
        "prefixes": [f"{network}: class {number}" for network, number in answers.prefixes],
    }


def _programs(image: SetImage) -> list[str]:
    """Which subject a program is, by the outcome of its path."""
    width = len(image.subjects)
    return [f"outcome {number * width}: subject {subject}" for number, subject in enumerate(image.programs)]


def decision_text(word: int) -> str:
    """A decision word: `DENY 3` by rule 3, `ALLOW, reports 2` for an Audit rule."""
    verdict = abi.Verdict(word & abi.DECISION_VERDICT_MASK).name
    rule = word >> abi.DECISION_RULE_SHIFT & abi.DECISION_RULE_MASK
    audit = word >> abi.DECISION_AUDIT_SHIFT & abi.DECISION_RULE_MASK
    return verdict + (f" {rule}" if rule else "") + (f", reports {audit}" if audit else "")


def _outcome(decisions: Sequence[int]) -> str:
    """Each question about which something is said; those behind the operations where executing answers otherwise."""
    asked = [
        (_question(number), word)
        for number, word in enumerate(decisions)
        if word != (decisions[abi.Operation.EXEC] if number >= abi.PATH_OPERATIONS else 0)
    ]
    said = [f"{name} {decision_text(word)}" for name, word in asked]
    return "; ".join(said) or "ALLOW"


def _question(number: int) -> str:
    if number < abi.PATH_OPERATIONS:
        return abi.Operation(number).name
    return abi.Question(number).name


def _operations(words: Iterable[int]) -> list[str]:
    """Privileged operations by decision."""
    from bulkhead.policy.operations import OPERATION_WORDS, PRIVILEGED  # noqa: PLC0415

    said: dict[str, list[str]] = defaultdict(list)
    for operation, word in zip(PRIVILEGED, words, strict=False):
        if word:
            said[decision_text(word)].append(OPERATION_WORDS[operation])
    return [f"{decision}: {', '.join(names)}" for decision, names in said.items()]


def _sockets(table: SocketTable) -> list[str]:
    """Families and types by decision; `other` is all that no rule names."""
    from bulkhead.policy.sockets import family_name, type_name  # noqa: PLC0415

    families = {0: "other"} | {row: family_name(number) for number, row in enumerate(table.rows) if row}
    types = {0: "other"} | {column: type_name(number) for number, column in enumerate(table.columns) if column}
    said: dict[str, list[str]] = defaultdict(list)
    for row, family in families.items():
        for column, kind in types.items():
            word = table.decision(row, column)
            if word:
                said[decision_text(word)].append(f"{family}/{kind}")
    return [f"{decision}: {', '.join(names)}" for decision, names in said.items()]


def _ports(entry: PortDecision) -> str:
    """Which packets an entry is for: the ports that begin with its bits."""
    protocol = _PROTOCOLS.get(entry.protocol, str(entry.protocol))
    if entry.bits <= _PROTOCOL_BITS:
        return f"{protocol} any port" if entry.bits == _PROTOCOL_BITS else "any protocol"
    last = entry.port + (1 << _PORT_BITS - entry.bits) - 1
    return f"{protocol} {entry.port}" if entry.port == last else f"{protocol} {entry.port}-{last}"


@dataclass
class _Rows:
    """A packed automaton by state: what holds there, where other bytes lead, and where some bytes lead."""

    labels: dict[int, int] = field(default_factory=dict)
    defaults: dict[int, int] = field(default_factory=dict)
    edges: dict[int, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def is_link(self, state: int, origin: int) -> bool:
        """Whether a state is as its origin but leads on by one byte only."""
        if state & abi.STATE_SINK or len(self.edges[state]) != 1:
            return False
        return (self.labels[state], self.defaults[state]) == (self.labels[origin], self.defaults[origin])


def automaton_text(automaton: Automaton) -> list[str]:
    """One line a state: its number, its outcome, and after which bytes it goes where.

    Bytes in a row are states that are told with the one where the row begins: within it, the same outcome holds and
    all other bytes lead to the same place.
    """
    rows = _rows(automaton)
    starts = [automaton.root, *automaton.starts]
    entered = Counter(target for edges in rows.edges.values() for target in edges.values())
    entered.update([*rows.defaults.values(), *starts])
    numbers: dict[int, int] = {}
    for start in starts:
        numbers.setdefault(start, len(numbers))
    lines = []
    for state in (queue := list(numbers)):
        if state & abi.STATE_SINK:
            lines.append(f"{numbers[state]}: {_end(state)}")
            continue
        parts = []
        for text, target in _steps(rows, entered, state):
            if not target & abi.STATE_SINK and target not in numbers:
                numbers[target] = len(numbers)
                queue.append(target)
            parts.append(f"{text} → {_end(target) if target & abi.STATE_SINK else numbers[target]}")
        lines.append(f"{numbers[state]}: outcome {rows.labels[state]}; {'; '.join(parts)}")
    return lines


def _rows(automaton: Automaton) -> _Rows:
    rows = _Rows()
    for position, slot in enumerate(automaton.slots):
        check, target = slot >> 32, slot & 0xFFFFFFFF
        if check & abi.STATE_SINK:
            rows.labels[position * _STATE_BYTES] = check & ~abi.STATE_SINK
            rows.defaults[position * _STATE_BYTES] = target
        elif slot:
            rows.edges[check][position - check // _STATE_BYTES] = target
    return rows


def _steps(rows: _Rows, entered: Counter[int], state: int) -> list[tuple[str, int]]:
    """Where a state leads: after which bytes, and at last after all others."""
    together: dict[int, list[int]] = defaultdict(list)
    for byte, target in sorted(rows.edges[state].items()):
        together[target].append(byte)
    steps = []
    for target, those in together.items():
        text, at = "".join(map(_byte, those)), target
        text = f"[{text}]" if len(those) > 1 else text
        while entered[at] == 1 and rows.is_link(at, state):
            ((byte, at),) = rows.edges[at].items()
            text += _byte(byte)
        steps.append((text, at))
    return [*steps, ("else", rows.defaults[state])]


def _byte(byte: int) -> str:
    return chr(byte) if 0x20 < byte < 0x7F else f"\\x{byte:02x}"


def _end(state: int) -> str:
    """A state that is never left."""
    return f"outcome {state & ~abi.STATE_SINK} for good"
