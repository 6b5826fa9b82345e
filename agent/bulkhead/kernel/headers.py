"""A kernel header tree for bcc, made from a kernel's own BTF: no header package is needed, and types are exactly its.

bcc insists on a source tree and brings its own `bpf.h`, so identifiers of the dump that it defines too are renamed, and
the headers it asks for by name are empty. Next step: `bulkhead.kernel.compiler` points bcc at the tree.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from bulkhead.errors import KernelUnable

# Everything that bcc's own bpf.h defines as well gets the prefix `k_`.
_CLASHES = re.compile(
    r"\b(\w*(?:BPF|bpf|XDP|xdp|SK_PASS|SK_DROP|btf_|BTF_|TCX_|tcx_)\w*"
    r"|__sk_buff|sk_msg_md|sk_reuseport_md|sk_action|tcx_action_base|netkit_action)\b"
)

_KCONFIG = """\
#pragma once
#define CONFIG_BPF_SYSCALL 1
#define k_BPF_NO_PRESERVE_ACCESS_INDEX
#include <kernel_types.h>
#define __aligned_u64 __u64 __attribute__((aligned(8)))
#define PAGE_SIZE 4096
"""

# bcc wants to know a version; nothing of ours asks for it.
_VERSION = """\
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
"""

_EMPTY = (
    "linux/types.h",
    "linux/log2.h",
    "linux/bpf_common.h",
    "uapi/linux/bpf.h",
    "uapi/linux/if_packet.h",
    "asm/page.h",
)


def write_headers(btf: Path, tree: Path) -> None:
    """Write the header tree of the kernel whose BTF is in the file `btf` to the folder `tree`."""
    types = _CLASHES.sub(r"k_\1", _dump(btf))
    include = tree / "include"
    for name in _EMPTY:
        _write(include / name, "")
    _write(include / "kernel_types.h", types)
    _write(include / "linux/kconfig.h", _KCONFIG)
    _write(include / "linux/version.h", _VERSION)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _dump(btf: Path) -> str:
    bpftool = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin")
    if bpftool is None:
        raise KernelUnable("compiling probes needs bpftool, which is not installed; nothing was loaded")
    if not btf.exists():
        raise KernelUnable(f"{btf}: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF); nothing was loaded")
    command = [bpftool, "btf", "dump", "file", str(btf), "format", "c"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise KernelUnable(f"{btf}: bpftool cannot read it: {result.stderr.strip()}; nothing was loaded")
    return result.stdout
