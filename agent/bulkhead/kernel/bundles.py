"""The bundle for the running kernel: from a cache where there is one, else compiled once and kept.

Caches are looked through in order: those given by BULKHEAD_BUNDLES (prebuilt, not written to), then the state
directory's own. Next step: `bulkhead.kernel.instance` loads it.
"""

from __future__ import annotations

import os
from pathlib import Path

from bulkhead.kernel.bundle import Bundle, cached_bundle, cached_path, read_bundle
from bulkhead.log import get_log

RUNNING_KERNEL = Path("/sys/kernel/btf/vmlinux")

log = get_log()


def bundle_for_this_kernel(cache: Path) -> Bundle:
    """The programs for the running kernel. Raises `KernelUnable`, `ProgramRefused`; nothing is loaded here."""
    prebuilt = [Path(each) for each in os.environ.get("BULKHEAD_BUNDLES", "").split(os.pathsep) if each]
    for directory in [*prebuilt, cache]:
        if RUNNING_KERNEL.exists() and (bundle := cached_bundle(RUNNING_KERNEL, directory)):
            log.info("bundle_found", key=bundle.key[:12])
            return bundle
    from bulkhead.kernel.compiler import compile_bundle  # noqa: PLC0415  # not needed when there is a bundle

    log.info("bundle_compiling", kernel=os.uname().release)
    path = cached_path(RUNNING_KERNEL, cache)
    compile_bundle(RUNNING_KERNEL, path)
    return read_bundle(path)
