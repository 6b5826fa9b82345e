"""What a set of policies means, as plainly as it can be said: the reference that the lowered form is tested against.

It shares nothing with merging and lowering, works on one access at a time, and is slow on purpose.

Policies of mode Enforce form E, those of mode Audit form A, both together E+A. For one access (an operation on a path;
an address, protocol and port; a capability; a privileged operation; a socket to be made):

- *enforced(X)*, over the rules of X that match the access and the defaults that X has for its section: an explicit
  Kill or Deny wins (Kill over Deny), else an explicit Allow, else the strictest default, else Allow. Explicit Audit
  rules never change it. A default of Audit allows.
- The access is blocked if enforced(E) is Deny or Kill. Otherwise, if enforced(E+A) is Deny or Kill, it is let
  through and reported as *would deny*. Otherwise it is allowed.
- A rule about some programs (`by`) matches only if the acting program is one: one that a pattern of `by` matches, if
  there are any, and that no pattern with `!` matches. If it is not known what the acting program is, a rule that allows
  does not match, and any other may.
- The rule that decided is the first, in canonical order, of those that have the winning action. Canonical order is
  that of rule references: it does not depend on the order of policies.
- Reported for audit, whatever the verdict, is the first matching Audit rule of E+A; without one, the default that
  decided enforced(E+A) or else the one that decided enforced(E), where that is a default of Audit. So a policy in
  mode Audit never silences what an enforced policy reports.

Patterns are over bytes: `*` is any run and `?` any one byte within one path element, `**` as the last element is one
or more elements, as a middle element zero or more. A file that is visible at several paths is matched by a rule that
matches any of them.

A file that is executed is of the container's image, or was written since, or is fileless: no path leads to it, and it
was not in the image. `notInImage` matches the latter two, `fileless` the last. A rule without patterns matches at
every path, and where there is none; all that a rule names must hold. Mapping a file executable is executing it, with
one exception: a library of the image, mapped by an allowed program, is judged by rules alone, as if there were no
default.

IPv4 and IPv6 are kept apart: an address mapped to ::ffff:0:0/96 is an IPv4 address, and `::/0` does not match it. A
packet whose ports cannot be known is matched by every Deny and Kill rule for its address, by an Allow or Audit rule
only if that has no ports. ICMP and ICMPv6 have no ports, so rules with ports do not match them; of protocols other than
these, TCP and UDP, the ports cannot be known.

What cannot be resolved at all (a path, a packet) is decided by the strictest Deny or Kill, rule or default, that
could have matched: of E, else, as *would deny*, of E+A.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from bulkhead.abi import Operation, Verdict
from bulkhead.policy.rules import (
    Action,
    CapabilityRule,
    Default,
    Mode,
    Network,
    NetworkRule,
    OperationRule,
    PathRule,
    Peer,
    PolicyRules,
    Programs,
    Provenance,
    RuleReference,
    Section,
    SocketRule,
)

Address = IPv4Address | IPv6Address
Rule = PathRule | NetworkRule | CapabilityRule | OperationRule | SocketRule
Said = Rule | Default
Program = tuple[bytes, ...] | None
"""Who acts: every path of the file that was executed (none where no path leads to it); None where it is not known."""

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
_VERDICTS = {Action.DENY: Verdict.DENY, Action.KILL: Verdict.KILL}


@dataclass(frozen=True)
class Judgement:
    """A verdict (ALLOW, WOULD_DENY, DENY or KILL), the rule that decided, and the rule that reports for audit."""

    verdict: Verdict = Verdict.ALLOW
    rule: RuleReference | None = None
    audit: RuleReference | None = None


def judge_path(
    policies: Iterable[PolicyRules],
    operation: Operation,
    *paths: bytes,
    provenance: Provenance = Provenance.IMAGE,
    program: Program = (),
) -> Judgement:
    """About `operation` on the file that is visible at all of `paths` (absolute, canonical); none for a memory file."""

    def matches(rule: Rule) -> bool:
        return _path_rule_matches(rule, operation, provenance, paths)

    return _judge(policies, section_of(operation), matches, program)


def judge_library(policies: Iterable[PolicyRules], *paths: bytes, program: Program = ()) -> Judgement:
    """About an allowed program's mapping a library of the image for execution."""

    def matches(rule: Rule) -> bool:
        return _path_rule_matches(rule, Operation.EXEC, Provenance.IMAGE, paths)

    return _judge((replace(policy, defaults=()) for policy in policies), Section.EXEC, matches, program)


def _path_rule_matches(rule: Rule, operation: Operation, provenance: Provenance, paths: tuple[bytes, ...]) -> bool:
    if not isinstance(rule, PathRule) or operation not in rule.operations or rule.provenance > provenance:
        return False
    return not rule.patterns or _any_matches(rule.patterns, paths)


def judge_connection(
    policies: Iterable[PolicyRules],
    address: Address,
    protocol: int,
    port: int | None = None,
    program: Program = (),
) -> Judgement:
    """About a packet to `address`; `port` is None where it cannot be known."""
    return _judge(policies, Section.EGRESS, lambda rule: network_matches(rule, address, protocol, port), program)


def judge_capability(policies: Iterable[PolicyRules], capability: int, program: Program = ()) -> Judgement:
    """About the use of a capability, by the kernel's number."""

    def matches(rule: Rule) -> bool:
        return isinstance(rule, CapabilityRule) and capability in rule.capabilities

    return _judge(policies, Section.CAPABILITIES, matches, program)


def judge_operation(policies: Iterable[PolicyRules], operation: Operation, program: Program = ()) -> Judgement:
    """About a privileged operation."""

    def matches(rule: Rule) -> bool:
        return isinstance(rule, OperationRule) and operation in rule.operations

    return _judge(policies, Section.OPERATIONS, matches, program)


def judge_socket(policies: Iterable[PolicyRules], family: int, kind: int, program: Program = ()) -> Judgement:
    """About making a socket, by AF_* and SOCK_*."""

    def matches(rule: Rule) -> bool:
        if not isinstance(rule, SocketRule) or (rule.families and family not in rule.families):
            return False
        return not rule.types or kind in rule.types

    return _judge(policies, Section.SOCKETS, matches, program)


def judge_unresolved_path(
    policies: Iterable[PolicyRules],
    operation: Operation,
    provenance: Provenance = Provenance.IMAGE,
    program: Program = (),
) -> Judgement:
    """About `operation` on a file whose path cannot be resolved."""

    def could_match(rule: Rule) -> bool:
        return isinstance(rule, PathRule) and operation in rule.operations and rule.provenance <= provenance

    return _judge_unresolved(policies, section_of(operation), could_match, program)


def judge_unresolved_packet(policies: Iterable[PolicyRules], program: Program = ()) -> Judgement:
    """About a packet that cannot be read."""
    return _judge_unresolved(policies, Section.EGRESS, lambda rule: isinstance(rule, NetworkRule), program)


def is_about(rule: Rule, program: Program) -> bool:
    """Whether a rule is about what the acting program does."""
    if rule.programs == Programs():
        return True
    if program is None:
        return rule.action is not Action.ALLOW
    if rule.programs.by and not _any_matches(rule.programs.by, program):
        return False
    return not _any_matches(rule.programs.unless, program)


def section_of(operation: Operation) -> Section:
    """The section that an operation on a path belongs to."""
    return Section.EXEC if operation == Operation.EXEC else Section.FILES


def path_matches(pattern: bytes, path: bytes) -> bool:
    """Whether one pattern matches one path, element by element."""
    return _elements_match(_elements(pattern), _elements(path))


def network_matches(rule: Rule, address: Address, protocol: int, port: int | None) -> bool:
    """Whether a rule of `network.egress` matches; see the module's text on ports that cannot be known."""
    if not isinstance(rule, NetworkRule):
        return False
    if rule.peers and not any(_peer_matches(peer, address) for peer in rule.peers):
        return False
    if not rule.ports:
        return True
    if protocol in (ICMP, ICMPV6):
        return False
    if protocol not in (TCP, UDP) or port is None:
        return rule.action in (Action.DENY, Action.KILL)
    return any(ports.protocol == protocol and ports.first <= port <= ports.last for ports in rule.ports)


def _judge(
    policies: Iterable[PolicyRules], section: Section, matches: Callable[[Rule], bool], program: Program
) -> Judgement:
    rules, defaults = _statements(policies, section)
    rules = [rule for rule in rules if matches(rule) and is_about(rule, program)]
    real = _enforced([rule for rule in rules if rule.mode is Mode.ENFORCE], _of_mode_enforce(defaults))
    shadow = _enforced(rules, defaults)
    audit = _first([rule for rule in rules if rule.action is Action.AUDIT])
    for decided in (shadow, real):
        if audit is None and decided is not None and decided.action is Action.AUDIT:
            audit = decided.reference
    return _verdict(real, shadow, audit)


def _judge_unresolved(
    policies: Iterable[PolicyRules], section: Section, could: Callable[[Rule], bool], program: Program
) -> Judgement:
    rules, defaults = _statements(policies, section)
    strict: list[Said] = [rule for rule in rules if could(rule) and is_about(rule, program)]
    strict += defaults
    real = _strictest([said for said in strict if said.mode is Mode.ENFORCE])
    return _verdict(real, _strictest(strict), None)


def _verdict(real: Said | None, shadow: Said | None, audit: RuleReference | None) -> Judgement:
    if real is not None and real.action in _VERDICTS:
        return Judgement(_VERDICTS[real.action], real.reference, audit)
    if shadow is not None and shadow.action in _VERDICTS:
        return Judgement(Verdict.WOULD_DENY, shadow.reference, audit)
    return Judgement(audit=audit)


def _enforced(rules: list[Rule], defaults: list[Default]) -> Said | None:
    """The statement that decides, or None where nobody says anything."""
    for action in (Action.KILL, Action.DENY, Action.ALLOW):
        deciding = [rule for rule in rules if rule.action is action]
        if deciding:
            return min(deciding, key=lambda rule: rule.reference)
    return _strictest(list(defaults))


def _strictest(statements: list[Said]) -> Said | None:
    if not statements:
        return None
    action = max(said.action for said in statements)
    return min((said for said in statements if said.action is action), key=lambda said: said.reference)


def _statements(policies: Iterable[PolicyRules], section: Section) -> tuple[list[Rule], list[Default]]:
    rules: list[Rule] = []
    defaults: list[Default] = []
    for policy in policies:
        rules += (*policy.paths, *policy.networks, *policy.capabilities, *policy.operations, *policy.sockets)
        defaults += (default for default in policy.defaults if default.section is section)
    return rules, defaults


def _of_mode_enforce(defaults: list[Default]) -> list[Default]:
    return [default for default in defaults if default.mode is Mode.ENFORCE]


def _first(rules: list[Rule]) -> RuleReference | None:
    return min((rule.reference for rule in rules), default=None)


def _any_matches(patterns: Iterable[str], paths: Iterable[bytes]) -> bool:
    known = [pattern.encode("utf-8", "surrogateescape") for pattern in patterns]
    return any(path_matches(pattern, path) for pattern in known for path in paths)


def _elements(path: bytes) -> list[bytes]:
    return [] if path == b"/" else path[1:].split(b"/")


def _elements_match(pattern: list[bytes], path: list[bytes]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == b"**":
        if len(pattern) == 1:
            return len(path) >= 1
        return any(_elements_match(pattern[1:], path[skipped:]) for skipped in range(len(path) + 1))
    return bool(path) and _element_matches(pattern[0], path[0]) and _elements_match(pattern[1:], path[1:])


def _element_matches(pattern: bytes, element: bytes) -> bool:
    wild = {0x2A: b"[^/]*", 0x3F: b"[^/]"}
    expression = b"".join(wild.get(byte, re.escape(bytes([byte]))) for byte in pattern)
    return re.fullmatch(expression, element, re.DOTALL) is not None


def _peer_matches(peer: Peer, address: Address) -> bool:
    return _contains(peer.network, address) and not any(_contains(network, address) for network in peer.excluded)


def _contains(network: Network, address: Address) -> bool:
    """Membership, with mapped addresses and networks of mapped addresses taken as IPv4."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
        network = IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return address.version == network.version and address in network
