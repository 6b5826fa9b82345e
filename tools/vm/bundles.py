"""The probes compiled for the guest's kernel, before it boots.

Why here: the compiler needs the guest's type information only, and takes twenty times longer in an emulated machine.
The guest finds the result through BULKHEAD_BUNDLES. Next step: `boot` starts the machine.
"""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

from bulkhead.errors import BulkheadError, ProgramRefused
from bulkhead.kernel.bundle import bundle_key, cached_bundle, cached_path
from bulkhead.kernel.compiler import compile_bundle
from tools.vm import CACHE, BenchError, qemu
from tools.vm.kernels import Kernel

BUNDLES = CACHE / "bundles"


def prepare(kernel: Kernel, lsm: str = qemu.DEFAULT_LSM) -> Path:
    """The programs for `kernel` booted with this lsm=, compiled where the cache has not what these sources give.

    Raises `BenchError`.
    """
    bpf_lsm = "bpf" in lsm.split(",")
    key = bundle_key(kernel.btf, bpf_lsm)
    path = cached_path(key, BUNDLES)
    if cached_bundle(key, BUNDLES) is not None:
        return path
    BUNDLES.mkdir(parents=True, exist_ok=True)
    with (BUNDLES / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if cached_bundle(key, BUNDLES) is not None:
            return path
        print(f"vm: compiling the probes for Linux {kernel.release}", file=sys.stderr, flush=True)
        try:
            compile_bundle(kernel.btf, path, bpf_lsm)
        except ProgramRefused as error:
            raise BenchError(f"{error}\n{error.log}") from error
        except BulkheadError as error:
            raise BenchError(str(error)) from error
    return path
