"""The rules of policies as plain data: what parsing yields and what merging and lowering read.

Documents (`policy.model`) are what people write; these are the same statements with names resolved: operations and
capabilities are numbers of the kernel boundary, addresses are networks, every rule carries the reference that a
violation shows. Next step: `policy.merge` makes one `PolicySet` of all policies that select a container.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from ipaddress import IPv4Network, IPv6Network

from bulkhead.abi import Operation

Network = IPv4Network | IPv6Network


class Action(IntEnum):
    """What a rule or a default says, in order of strictness."""

    ALLOW = 0
    AUDIT = 1
    DENY = 2
    KILL = 3


class Mode(Enum):
    """Whether a policy blocks (ENFORCE) or takes part in the shadow decision only (AUDIT)."""

    ENFORCE = "Enforce"
    AUDIT = "Audit"


class Section(Enum):
    """A part of a policy that has rules and a default of its own."""

    EXEC = "exec"
    FILES = "files"
    EGRESS = "network.egress"
    SOCKETS = "network.sockets"
    CAPABILITIES = "capabilities"
    OPERATIONS = "operations"


class Provenance(IntEnum):
    """Where a file that is executed comes from. Each says more than the one before: what is fileless was also written.

    A rule with a provenance matches files of that one and of those after it.
    """

    IMAGE = 0  # the container's image; of a rule: any file
    WRITTEN = 1  # written since
    FILELESS = 2  # no path leads to it


@dataclass(frozen=True, order=True)
class RuleReference:
    """Which rule of which policy: what a violation names.

    `rule` is the rule's name, `rules[N]` where it has none, or `default`. Ordered by identity, so that sorting rules
    does not depend on the order of policies. `severity`, `message` and `tags` are the policy's.
    """

    policy_namespace: str
    policy: str
    section: str
    rule: str
    severity: str = "Medium"
    message: str = ""
    tags: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Stable across restarts: `namespace/policy/section/rule`."""
        return f"{self.policy_namespace}/{self.policy}/{self.section}/{self.rule}"


@dataclass(frozen=True)
class Programs:
    """Whose acts a rule is about: programs that a pattern of `by` matches, if it has any, and none of `unless`.

    Patterns are like those of `PathRule`.
    """

    by: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


ANYONE = Programs()


@dataclass(frozen=True)
class PathRule:
    """A rule of `exec` or `files`. `patterns` are absolute: exact, `dir/**`, `*` and `?` within one element.

    It matches files at least as far from the image as `provenance`. Without patterns it matches every path, and files
    without one.
    """

    reference: RuleReference
    mode: Mode
    action: Action
    operations: frozenset[Operation]
    patterns: tuple[str, ...]
    provenance: Provenance = Provenance.IMAGE
    programs: Programs = ANYONE


@dataclass(frozen=True)
class Peer:
    """Addresses: `network` less everything in `excluded`."""

    network: Network
    excluded: tuple[Network, ...] = ()


@dataclass(frozen=True)
class Ports:
    """`first` to `last` inclusive of one protocol (IPPROTO_TCP 6 or IPPROTO_UDP 17)."""

    protocol: int
    first: int
    last: int


@dataclass(frozen=True)
class NetworkRule:
    """A rule of `network.egress`. No peers: every address; no ports: every protocol and port."""

    reference: RuleReference
    mode: Mode
    action: Action
    peers: tuple[Peer, ...]
    ports: tuple[Ports, ...]
    programs: Programs = ANYONE


@dataclass(frozen=True)
class CapabilityRule:
    """A rule of `capabilities`; `capabilities` are the kernel's numbers."""

    reference: RuleReference
    mode: Mode
    action: Action
    capabilities: frozenset[int]
    programs: Programs = ANYONE


@dataclass(frozen=True)
class OperationRule:
    """A rule of `operations`: privileged operations of the kernel."""

    reference: RuleReference
    mode: Mode
    action: Action
    operations: frozenset[Operation]
    programs: Programs = ANYONE


@dataclass(frozen=True)
class SocketRule:
    """A rule of `network.sockets`, by AF_* and SOCK_*. No families: every family; no types: every type."""

    reference: RuleReference
    mode: Mode
    action: Action
    families: frozenset[int]
    types: frozenset[int]
    programs: Programs = ANYONE


@dataclass(frozen=True)
class Default:
    """The verdict of one section of one policy where no rule matches."""

    reference: RuleReference
    mode: Mode
    section: Section
    action: Action


@dataclass(frozen=True)
class PolicyRules:
    """Everything that one policy says, resolved. Also what a merged set holds (see `policy.merge`)."""

    paths: tuple[PathRule, ...] = ()
    networks: tuple[NetworkRule, ...] = ()
    capabilities: tuple[CapabilityRule, ...] = ()
    operations: tuple[OperationRule, ...] = ()
    sockets: tuple[SocketRule, ...] = ()
    defaults: tuple[Default, ...] = field(default=())
