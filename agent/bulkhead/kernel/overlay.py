"""Whether this kernel's overlayfs keeps the upper layer's part of a file where the programs look for it.

struct ovl_inode belongs to a module, so that the headers that programs are compiled with do not have it. They take the
pointer right behind its struct inode (probes/include/provenance.h); here the module's own BTF says whether that is so.
Next step: `enforcement.layers` refuses what cannot be told apart.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

from bulkhead.errors import KernelUnable
from bulkhead.kernel.kernel_btf import KernelTypes, strings_of

BTF = Path("/sys/kernel/btf")
_STRUCTURE, _BEFORE, _WANTED = "ovl_inode", "vfs_inode", "__upperdentry"


@cache
def has_known_layout(btf: Path = BTF) -> bool:
    """Also False where the kernel does not say: without BTF of its modules, or before the module is there."""
    try:
        vmlinux = (btf / "vmlinux").read_bytes()
        module = btf / "overlay"
        types = KernelTypes(module.read_bytes(), strings_of(vmlinux)) if module.exists() else KernelTypes(vmlinux)
        names = types.member_names(_STRUCTURE)
    except (OSError, KernelUnable):
        return False
    return (_BEFORE, _WANTED) in pairwise(names)
