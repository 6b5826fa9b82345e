"""Reads a `SetImage` as the kernel programs do, so that tests compare what would really be decided."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from bulkhead import abi
from bulkhead.policy.automaton import outcome_of, state_after
from bulkhead.policy.image import SetImage
from bulkhead.policy.oracle import Address, Judgement
from bulkhead.policy.rules import Provenance


def judgement(image: SetImage, word: int) -> Judgement:
    """A decision word with numbers replaced by the rules that they stand for."""
    rule = word >> abi.DECISION_RULE_SHIFT & abi.DECISION_RULE_MASK
    audit = word >> abi.DECISION_AUDIT_SHIFT & abi.DECISION_RULE_MASK
    return Judgement(
        abi.Verdict(word & abi.DECISION_VERDICT_MASK),
        image.rules[rule - 1] if rule else None,
        image.rules[audit - 1] if audit else None,
    )


EXEC_QUESTIONS = {
    Provenance.IMAGE: abi.Operation.EXEC,
    Provenance.WRITTEN: abi.Question.EXEC_WRITTEN,
    Provenance.FILELESS: abi.Question.EXEC_FILELESS,
}


def subject_of(image: SetImage, program: bytes | None, start: int | None = None) -> int:
    """The class of a program that is executed from `program`, read from the root or a start state; None: not known."""
    if not image.flags & abi.SET_HAS_SUBJECTS:
        return 0
    if program is None:
        return abi.SUBJECT_UNKNOWN
    outcome = outcome_of(image.automaton, state_after(image.automaton, program, start))
    return image.programs[outcome // len(image.subjects)]


def path_decision(
    image: SetImage,
    question: abi.Operation | abi.Question,
    path: bytes,
    start: int | None = None,
    subject: int = 0,
) -> Judgement:
    """What is decided about `path`, read from the root or from a start state."""
    outcome = outcome_of(image.automaton, state_after(image.automaton, path, start))
    index = outcome + subject if outcome != abi.OUTCOME_SILENT else outcome
    return judgement(image, image.outcomes[index][question])


def socket_decision(image: SetImage, family: int, kind: int, subject: int = 0) -> Judgement:
    """What is decided about making a socket."""
    table = image.subjects[subject].sockets
    return judgement(image, table.decision(table.rows[family], table.columns[kind]))


def connection_decision(
    image: SetImage, address: Address, protocol: int, port: int | None, subject: int = 0
) -> Judgement:
    """What is decided about a packet; a port that is None cannot be known."""
    if not image.flags & abi.SET_HAS_NETWORK:
        return Judgement()
    mapped = IPv6Address(0xFFFF << 32 | int(address)) if isinstance(address, IPv4Address) else address
    prefixes = image.subjects[subject].prefixes
    _, peer_class = max(
        ((network.prefixlen, found) for network, found in prefixes if mapped in network), key=lambda item: item[0]
    )
    known = port is not None and protocol in (6, 17)
    bits = 64 if known else 48 if protocol in (1, 58) else 32
    key = protocol << 16 | (port or 0) if bits == 64 else protocol << 16
    longest, word = -1, 0
    for entry in image.ports:
        if entry.peer_class != peer_class or entry.bits > bits:
            continue
        unread = 64 - entry.bits
        same = entry.bits == 32 or key >> unread == (entry.protocol << 16 | entry.port) >> unread
        if same and entry.bits > longest:
            longest, word = entry.bits, entry.decision
    return judgement(image, word)
