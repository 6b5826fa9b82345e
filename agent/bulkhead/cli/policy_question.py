"""`bulkhead policy explain` about one access: the verdict, the rule that decides, the others that match, and why.

Also about one rule by the id that violations carry (`rule_id`): what it says and where it is written.
Next step: `policy.explain`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from bulkhead.cli.policy_words import described, sentence
from bulkhead.errors import UsageError

if TYPE_CHECKING:
    from bulkhead.abi import Operation
    from bulkhead.policy.explain import Explanation, Question
    from bulkhead.policy.rules import PolicyRules, Section

_FILE_OPERATIONS = ("Exec", "Read", "Write", "Create", "Delete", "Rename", "Link", "Attributes", "Map")
_PROVENANCES = ("image", "written", "fileless")
_PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMPv6": 58}
_QUESTIONS = ("path", "address", "capability", "privileged", "socket", "rule")


@dataclass(frozen=True)
class Asked:
    """One access: what is done and to what, in words, and the question itself."""

    operation: str
    object: str
    section: Section
    question: Question


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that ask."""
    group = parser.add_argument_group("about one access, or one rule")
    group.add_argument("--path", help="a file, as the container sees it, without links")
    group.add_argument("--operation", choices=_FILE_OPERATIONS, help="what is done to it; without it: each of these")
    group.add_argument("--program", help="who acts: the path of the program that was executed")
    group.add_argument("--provenance", choices=_PROVENANCES, default="image", help="where a program comes from")
    group.add_argument("--address", help="where a packet goes to")
    group.add_argument("--protocol", choices=_PROTOCOLS, default="TCP")
    group.add_argument("--port", type=int)
    group.add_argument("--capability", help="a capability that is used: NET_RAW")
    group.add_argument("--privileged", metavar="OPERATION", help="a privileged operation: Mount")
    group.add_argument("--socket", metavar="FAMILY/TYPE", help="a socket that is made: packet/raw")
    group.add_argument("--rule", metavar="ID", help="a rule as in a violation's rule_id: namespace/policy/section/rule")


def is_asked(arguments: argparse.Namespace) -> bool:
    """Whether there is a question."""
    return any(getattr(arguments, name) is not None for name in _QUESTIONS)


def answer(arguments: argparse.Namespace, policies: Sequence[PolicyRules], places: Mapping[str, str]) -> int:
    """Print the answer to each question. Exit status 1 where there is no such rule."""
    from bulkhead.policy.explain import explain  # noqa: PLC0415

    for asked in _accesses(arguments):
        explanation = explain(policies, asked.section, asked.question)
        as_text = arguments.output == "text"
        for line in _as_text(asked, explanation, places) if as_text else [_as_json(asked, explanation, places)]:
            print(line)
    return 0 if arguments.rule is None else _about_rule(arguments, policies, places)


def _about_rule(arguments: argparse.Namespace, policies: Sequence[PolicyRules], places: Mapping[str, str]) -> int:
    from bulkhead.policy.merge import merge  # noqa: PLC0415

    names = (arguments.rule, f"/{arguments.rule}")
    found = [
        described(statement, places) for statement in merge(policies).statements if statement.reference.id in names
    ]
    for shown in found or _built_in(names):
        text = f"{shown['place']}: {shown['rule']}: {shown['says']}"
        print(json.dumps(shown) if arguments.output == "json" else text)
    return 0


def _built_in(names: Sequence[str]) -> list[dict[str, object]]:
    """A rule that is in no file. Raises `UsageError` where there is none of that name."""
    from bulkhead.policy.built_in import BUILT_IN  # noqa: PLC0415

    for reference in BUILT_IN.values():
        if reference.id in names:
            says = f"denies every container under a policy to touch {reference.message}"
            return [{"rule": reference.id, "place": "built in", "action": "Deny", "mode": "Enforce", "says": says}]
    raise UsageError(f"{names[0]}: no rule of these files; without --rule, explain lists them all")


def _accesses(arguments: argparse.Namespace) -> Iterator[Asked]:
    from bulkhead.abi import Operation  # noqa: PLC0415

    if arguments.path is not None:
        for word in [arguments.operation] if arguments.operation else _FILE_OPERATIONS:
            yield _path(arguments, Operation[word.upper()], word)
    if arguments.address is not None:
        yield _connection(arguments)
    if arguments.capability is not None:
        yield _capability(arguments)
    if arguments.privileged is not None:
        yield _privileged(arguments)
    if arguments.socket is not None:
        yield _socket(arguments)


def _path(arguments: argparse.Namespace, operation: Operation, word: str) -> Asked:
    from bulkhead.policy.oracle import judge_path, section_of  # noqa: PLC0415
    from bulkhead.policy.rules import Provenance, Section  # noqa: PLC0415

    path = arguments.path.encode("utf-8", "surrogateescape")
    if not path.startswith(b"/"):
        raise UsageError(f"{arguments.path} is not an absolute path; nothing was explained")
    origin = Provenance[arguments.provenance.upper()] if section_of(operation) is Section.EXEC else Provenance.IMAGE
    paths = () if origin is Provenance.FILELESS else (path,)
    program = _program(arguments)
    return Asked(
        word,
        arguments.path,
        section_of(operation),
        lambda policies: judge_path(policies, operation, *paths, provenance=origin, program=program),
    )


def _connection(arguments: argparse.Namespace) -> Asked:
    from bulkhead.policy.oracle import judge_connection  # noqa: PLC0415
    from bulkhead.policy.rules import Section  # noqa: PLC0415

    try:
        address = ip_address(arguments.address)
    except ValueError as error:
        raise UsageError(f"{error}; nothing was explained") from error
    protocol = _PROTOCOLS[arguments.protocol]
    port = arguments.port if arguments.protocol in ("TCP", "UDP") else None
    program = _program(arguments)
    shown = arguments.protocol if arguments.protocol not in ("TCP", "UDP") else f"{arguments.protocol} {port or '?'}"
    return Asked(
        "Egress",
        f"{address} {shown}",
        Section.EGRESS,
        lambda policies: judge_connection(policies, address, protocol, port, program),
    )


def _capability(arguments: argparse.Namespace) -> Asked:
    from bulkhead.policy.capabilities import capability_number  # noqa: PLC0415
    from bulkhead.policy.oracle import judge_capability  # noqa: PLC0415
    from bulkhead.policy.rules import Section  # noqa: PLC0415

    number = capability_number(arguments.capability)
    if number is None:
        raise UsageError(f"{arguments.capability} is not a capability; nothing was explained")
    program = _program(arguments)
    return Asked(
        "Capability",
        arguments.capability,
        Section.CAPABILITIES,
        lambda policies: judge_capability(policies, number, program),
    )


def _privileged(arguments: argparse.Namespace) -> Asked:
    from bulkhead.policy.operations import OPERATION_WORDS, PRIVILEGED  # noqa: PLC0415
    from bulkhead.policy.oracle import judge_operation  # noqa: PLC0415
    from bulkhead.policy.rules import Section  # noqa: PLC0415

    named = {OPERATION_WORDS[each]: each for each in PRIVILEGED}
    operation = named.get(arguments.privileged)
    if operation is None:
        raise UsageError(f"{arguments.privileged} is not one of {', '.join(named)}; nothing was explained")
    program = _program(arguments)
    return Asked(
        arguments.privileged,
        "",
        Section.OPERATIONS,
        lambda policies: judge_operation(policies, operation, program),
    )


def _socket(arguments: argparse.Namespace) -> Asked:
    from bulkhead.policy.oracle import judge_socket  # noqa: PLC0415
    from bulkhead.policy.rules import Section  # noqa: PLC0415
    from bulkhead.policy.sockets import FAMILIES, TYPES  # noqa: PLC0415

    family, _, kind = arguments.socket.partition("/")
    if family not in FAMILIES or kind not in TYPES:
        form = f"one of {', '.join(FAMILIES)}, a slash, and one of {', '.join(TYPES)}"
        raise UsageError(f"{arguments.socket} is not {form}; nothing was explained")
    program = _program(arguments)
    return Asked(
        "Socket",
        arguments.socket,
        Section.SOCKETS,
        lambda policies: judge_socket(policies, FAMILIES[family], TYPES[kind], program),
    )


def _program(arguments: argparse.Namespace) -> tuple[bytes, ...]:
    """The acting program's path; none where it is a program that no rule names."""
    return (arguments.program.encode("utf-8", "surrogateescape"),) if arguments.program else ()


def _as_text(asked: Asked, explanation: Explanation, places: Mapping[str, str]) -> Iterator[str]:
    yield f"{f'{asked.operation} {asked.object}'.strip()}: {explanation.judgement.verdict.name} {_why(explanation)}"
    for statement in (*explanation.matching, *explanation.defaults):
        decides = statement == explanation.decides
        reports = statement.reference == explanation.judgement.audit
        mark = " decides" if decides else " reports" if reports else ""
        yield f"  {places[statement.reference.id]}: {sentence(statement)}{f' ←{mark}' if mark else ''}"


def _as_json(asked: Asked, explanation: Explanation, places: Mapping[str, str]) -> str:
    judgement, decides = explanation.judgement, explanation.decides
    return json.dumps(
        {
            "operation": asked.operation,
            "object": asked.object,
            "verdict": judgement.verdict.name,
            "rule": decides.reference.id if decides else None,
            "audit": judgement.audit.id if judgement.audit else None,
            "why": _why(explanation),
            "matching": [described(each, places) for each in explanation.matching],
            "defaults": [described(each, places) for each in explanation.defaults],
        }
    )


def _why(explanation: Explanation) -> str:
    """The step of precedence at which it was decided."""
    from bulkhead.abi import Verdict  # noqa: PLC0415
    from bulkhead.policy.rules import Default  # noqa: PLC0415

    decides, verdict = explanation.decides, explanation.judgement.verdict
    if decides is None:
        return "because no rule matches and there is no default"
    if verdict is Verdict.WOULD_DENY:
        return f"because {decides.reference.id} is of a policy in mode Audit, which blocks nothing"
    if isinstance(decides, Default):
        return f"because no rule decides, and {decides.reference.id} is the strictest default"
    if verdict is Verdict.ALLOW:
        return f"because nothing denies it and {decides.reference.id} allows it"
    return f"because an explicit {decides.action.name.capitalize()} wins: {decides.reference.id}"
