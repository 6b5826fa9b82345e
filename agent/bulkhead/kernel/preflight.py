"""Refuses a kernel that would load our programs and never call them, before anything is loaded.

The quick look is the list of active LSMs; where it cannot be read, `features` finds out by trying. Next step:
`bulkhead.kernel.bundles`.
"""

from __future__ import annotations

from bulkhead.errors import KernelUnable
from bulkhead.kernel.plan import LSM_LIST

ADVICE = "`bulkhead doctor` says what is missing and how to mend it; nothing was loaded"


def require_bpf_lsm() -> None:
    """Raises `KernelUnable` where BPF LSM is not active."""
    if LSM_LIST.is_file():
        active = LSM_LIST.read_text().strip()
        if "bpf" not in active.split(","):
            raise KernelUnable(f"this kernel's active LSMs are {active}, without bpf: it cannot enforce. {ADVICE}")
        return
    from bulkhead.kernel.features import detect  # noqa: PLC0415  # slow: tries everything

    if not detect().can_enforce:
        raise KernelUnable(f"this kernel cannot enforce. {ADVICE}")
