"""A lowered policy set: what the maps of the kernel will hold, as plain data that knows nothing of a kernel.

Made by `policy.lower`, put into maps by `enforcement`. Positions are relative: the arena offset, the outcome base and
the class base are added when the image is placed. Words and layouts are those of probes/include/abi.h.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from ipaddress import IPv6Network

from bulkhead import abi
from bulkhead.policy.rules import RuleReference


@dataclass(frozen=True)
class Automaton:
    """One automaton over absolute paths as bytes, in row displacement.

    `slots` are u64 words, `check << 32 | next` (struct arena_slot, little endian). States are byte offsets from the
    start of `slots`, or STATE_SINK | outcome; in a header `check` is STATE_SINK | outcome. Outcomes are indices into
    `SetImage.outcomes`. `root` is the state after the path "/" (no byte read); `starts` are the states after the
    groups of mount points asked for, each the union over the group.
    """

    slots: array[int]
    root: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class PortDecision:
    """One entry of `ports`: `bits` as in struct port_key (32, 48 or 48 + bits of the port)."""

    peer_class: int
    protocol: int
    port: int
    bits: int
    decision: int


@dataclass(frozen=True)
class SocketTable:
    """`rows` by AF_*, `columns` by SOCK_*; `cells`, row by row (SOCKET_COLUMNS each), are indices in `decisions`."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    cells: tuple[int, ...]
    decisions: tuple[int, ...]

    def decision(self, row: int, column: int) -> int:
        """The decision word of a row and a column."""
        return self.decisions[self.cells[row * abi.SOCKET_COLUMNS + column]]


@dataclass(frozen=True)
class SubjectImage:
    """What a set answers to one class of acting programs, beside what it says of paths.

    `prefixes` are disjoint in meaning (longest wins), IPv4 mapped to ::ffff:0:0/96, each with a class of peers relative
    to the image; these start at 0. `operations` are decisions from OPERATION_PRIVILEGED on.
    """

    unresolved: tuple[int, ...]
    capabilities: tuple[int, ...]
    operations: tuple[int, ...]
    sockets: SocketTable
    network_unresolved: int
    prefixes: tuple[tuple[IPv6Network, int], ...]


@dataclass(frozen=True)
class SetImage:
    """A policy set, lowered.

    `rules[n - 1]` is rule number n of every decision. `subjects` has one entry a class of acting programs
    (`policy.lower_subjects`); without `by` there is one. Each answer to a path is as many entries of `outcomes`, the
    entry of class c being the c-th of them; an entry has one decision a question (PATH_QUESTIONS of them, operations
    first). The first answer is all zero. `programs` has, for each answer, the class of a program that is executed from
    such a path. `borrowing` is the decision about acting as another's program. `digest` is equal for equal meaning and
    input.
    """

    digest: str
    flags: int
    rules: tuple[RuleReference, ...]
    automaton: Automaton
    outcomes: tuple[tuple[int, ...], ...]
    programs: tuple[int, ...]
    subjects: tuple[SubjectImage, ...]
    borrowing: int
    ports: tuple[PortDecision, ...]
