"""The VM bench: a command, or a whole test suite, under another kernel, on any machine that has QEMU.

Why here: the machines we develop and test on may refuse to load LSM programs, and the same suite has to hold on several
kernels. QEMU's emulation needs neither KVM nor privileges of the host, and the guest sees the machine's own files.

`kernels` fetches Debian's kernels into the ignored cache, `initramfs` makes what boots, `qemu` writes the command line,
`boot` runs one command in one VM, `suite` says what tests/kernel is run with. The command line is `__main__`. Start
reading at `boot.run`.
"""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CACHE = CHECKOUT / ".cache"


class BenchError(Exception):
    """The bench cannot do what was asked: a part is missing, or the guest ended without an answer. Exit status 1."""
