"""The bundle for the running kernel: from a cache where there is one, else compiled once and kept.

Caches are looked through in order: those given by BULKHEAD_BUNDLES (prebuilt, not written to), then the state
directory's own. Next step: `bulkhead.kernel.instance` loads it.
"""

from __future__ import annotations

import os
from pathlib import Path

from bulkhead.errors import KernelUnable
from bulkhead.kernel.bundle import Bundle, bundle_key, cached_bundle, cached_path, read_bundle
from bulkhead.kernel.preflight import require_enforcing
from bulkhead.log import get_log

RUNNING_KERNEL = Path("/sys/kernel/btf/vmlinux")

log = get_log()


def bundle_for_this_kernel(cache: Path) -> Bundle:
    """The programs for the running kernel, as it can have them. Loads nothing.

    Raises `KernelUnable`, `ProgramRefused`.
    """
    if not RUNNING_KERNEL.exists():
        raise KernelUnable(f"{RUNNING_KERNEL}: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF); nothing was loaded")
    bpf_lsm = require_enforcing()
    key = bundle_key(RUNNING_KERNEL, bpf_lsm)  # reads all of the kernel's BTF: once
    prebuilt = [Path(each) for each in os.environ.get("BULKHEAD_BUNDLES", "").split(os.pathsep) if each]
    for directory in [*prebuilt, cache]:
        if bundle := cached_bundle(key, directory):
            log.info("bundle_found", key=bundle.key[:12])
            return bundle
    from bulkhead.kernel.compiler import compile_bundle  # noqa: PLC0415  # not needed when there is a bundle

    log.info("bundle_compiling", kernel=os.uname().release)
    path = cached_path(key, cache)
    compile_bundle(RUNNING_KERNEL, path, bpf_lsm)
    return read_bundle(path)
