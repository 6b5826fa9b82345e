"""Random policies, and accesses that are likely to meet their rules and the edges of them.

Alphabets are tiny, so that rules overlap, shadow one another and nearly match. Defaults of every section and both modes
occur.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hypothesis import strategies as st

from bulkhead.abi import PATH_OPERATIONS, Operation
from bulkhead.policy.operations import PRIVILEGED
from bulkhead.policy.rules import (
    ANYONE,
    Action,
    CapabilityRule,
    Default,
    Mode,
    NetworkRule,
    OperationRule,
    PathRule,
    Peer,
    PolicyRules,
    Ports,
    Programs,
    Provenance,
    RuleReference,
    Section,
    SocketRule,
)
from bulkhead.policy.sockets import FAMILIES, TYPES

PATH_OPERATION_LIST = [Operation(number) for number in range(PATH_OPERATIONS)]
_FILE_OPERATIONS = PATH_OPERATION_LIST[1:]


def _has_no_run(element: str) -> bool:
    return "**" not in element


_names = st.text("ab.", min_size=1, max_size=3)
_usual_elements = st.sampled_from(["*", "a*", "*a", "?", "a", "**"])
_pattern_elements = st.one_of(_usual_elements, _names, st.text("ab*?", min_size=1, max_size=4).filter(_has_no_run))
_patterns = st.lists(_pattern_elements, max_size=3).map(lambda elements: "/" + "/".join(elements))
PATHS = st.lists(_names, max_size=5).map(lambda elements: ("/" + "/".join(elements)).encode())
MOUNT_POINTS = st.lists(_names, max_size=2).map(lambda elements: ("/" + "/".join(elements)).encode())

_V4 = ["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.9.0.0/16", "10.9.0.7/32", "10.9.0.6/31", "128.0.0.0/1"]
_V6 = ["::/0", "fd00::/8", "fd00:1::/32", "fd00:1::7/128", "::/64", "::ffff:10.0.0.0/104", "::ffff:0:0/96"]
_networks = st.sampled_from([*map(IPv4Network, _V4), *map(IPv6Network, _V6)])
_peers = st.builds(Peer, _networks, st.lists(_networks, max_size=2).map(tuple))
_PORTS = [0, 1, 22, 443, 444, 8000, 8080, 32767, 32768, 65534, 65535]
_ports = st.builds(
    lambda protocol, ends: Ports(protocol, min(ends), max(ends)),
    st.sampled_from([6, 17]),
    st.tuples(st.sampled_from(_PORTS), st.sampled_from(_PORTS)),
)

ADDRESSES: list[IPv4Address | IPv6Address] = [
    *map(
        IPv4Address, ["10.9.0.7", "10.9.0.6", "10.9.0.5", "10.128.0.1", "10.255.255.255", "9.255.255.255", "200.1.1.1"]
    ),
    *map(IPv6Address, ["fd00:1::7", "fd00:1::8", "fd00:2::", "fe80::1", "::1", "::ffff:10.9.0.7", "::fffe:10.9.0.7"]),
]
PORT_NUMBERS = sorted({port + step for port in _PORTS for step in (-1, 0, 1) if 0 <= port + step <= 0xFFFF})
PROTOCOLS = [1, 6, 17, 47, 58, 132]

_families = st.frozensets(st.sampled_from(sorted(FAMILIES.values())), max_size=3)
_types = st.frozensets(st.sampled_from(sorted(TYPES.values())), max_size=2)
_program_patterns = st.sampled_from(["/a", "/b", "/a*", "/a/**", "/a/b", "/?", "/**"])
_lists = st.lists(_program_patterns, max_size=2).map(tuple)
_ANYONE = st.just(ANYONE)
SOMEONE = st.one_of(_ANYONE, st.builds(Programs, _lists, _lists))
PROGRAMS: list[bytes | None] = [None, b"/", b"/a", b"/b", b"/ab", b"/a/b", b"/a/a", b"/b/a"]
_actions = st.sampled_from(Action)
_modes = st.sampled_from(Mode)


@st.composite
def policies(
    draw: st.DrawFn,
    *sections: Section,
    patterns: st.SearchStrategy[str] = _patterns,
    programs: st.SearchStrategy[Programs] = _ANYONE,
) -> list[PolicyRules]:
    """Up to four policies with rules in the sections given, about anyone's acts or about those of `programs`."""
    count = draw(st.integers(1, 4))
    said = [_policy(draw, f"p{number}", sections, patterns) for number in range(count)]
    return [_about(draw, policy, programs) for policy in said]


def _about(draw: st.DrawFn, policy: PolicyRules, programs: st.SearchStrategy[Programs]) -> PolicyRules:
    return replace(
        policy,
        paths=tuple(replace(rule, programs=draw(programs)) for rule in policy.paths),
        networks=tuple(replace(rule, programs=draw(programs)) for rule in policy.networks),
        capabilities=tuple(replace(rule, programs=draw(programs)) for rule in policy.capabilities),
        operations=tuple(replace(rule, programs=draw(programs)) for rule in policy.operations),
        sockets=tuple(replace(rule, programs=draw(programs)) for rule in policy.sockets),
    )


def _policy(draw: st.DrawFn, name: str, sections: tuple[Section, ...], patterns: st.SearchStrategy[str]) -> PolicyRules:
    mode = draw(_modes)
    namespace = draw(st.sampled_from(["", "shop"]))
    paths: list[PathRule] = []
    networks: list[NetworkRule] = []
    capabilities: list[CapabilityRule] = []
    operations: list[OperationRule] = []
    sockets: list[SocketRule] = []
    defaults: list[Default] = []
    for section in sections:
        if draw(st.booleans()):
            reference = RuleReference(namespace, name, section.value, "default")
            defaults.append(Default(reference, mode, section, draw(_actions)))
        for number in range(draw(st.integers(0, 3))):
            reference = RuleReference(namespace, name, section.value, f"rules[{number}]")
            action = draw(_actions)
            if section is Section.EGRESS:
                peers = tuple(draw(st.lists(_peers, max_size=2)))
                networks.append(NetworkRule(reference, mode, action, peers, tuple(draw(st.lists(_ports, max_size=2)))))
            elif section is Section.CAPABILITIES:
                held = draw(st.frozensets(st.integers(0, 5), min_size=1))
                capabilities.append(CapabilityRule(reference, mode, action, held))
            elif section is Section.OPERATIONS:
                named = draw(st.frozensets(st.sampled_from(PRIVILEGED), min_size=1))
                operations.append(OperationRule(reference, mode, action, named))
            elif section is Section.SOCKETS:
                sockets.append(SocketRule(reference, mode, action, draw(_families), draw(_types)))
            else:
                provenance = draw(st.sampled_from(Provenance)) if section is Section.EXEC else Provenance.IMAGE
                least = 1 if provenance is Provenance.IMAGE else 0
                matched = tuple(draw(st.lists(patterns, min_size=least, max_size=3)))
                paths.append(PathRule(reference, mode, action, _operations(draw, section), matched, provenance))
    return PolicyRules(
        paths=tuple(paths),
        networks=tuple(networks),
        capabilities=tuple(capabilities),
        operations=tuple(operations),
        sockets=tuple(sockets),
        defaults=tuple(defaults),
    )


def _operations(draw: st.DrawFn, section: Section) -> frozenset[Operation]:
    if section is Section.EXEC:
        return frozenset([Operation.EXEC])
    return draw(st.frozensets(st.sampled_from(_FILE_OPERATIONS), min_size=1) | st.just(frozenset(_FILE_OPERATIONS)))


def paths_like(policies: list[PolicyRules]) -> st.SearchStrategy[bytes]:
    """Paths that some pattern of the policies matches or nearly matches, and some that have nothing to do with them."""
    known = [pattern for policy in policies for rule in policy.paths for pattern in rule.patterns]
    if not known:
        return PATHS
    filled = st.builds(
        _fill, st.sampled_from(known), st.sampled_from(["", "a", "b/a", "a/b/."]), st.sampled_from("ab.")
    )
    return filled | PATHS


def _fill(pattern: str, run: str, byte: str) -> bytes:
    """One path of a pattern; elements that end up empty go."""
    within = run.replace("/", "")
    elements = [
        run if element == "**" else element.replace("*", within).replace("?", byte) for element in pattern.split("/")
    ]
    return ("/" + "/".join(element for element in elements if element)).encode()
