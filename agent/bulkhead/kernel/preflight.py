"""Where programs go on this kernel, and the refusal of one that would load them and never call them.

The quick look is the list of active LSMs; where it does not have bpf, or cannot be read, `features` finds out by
trying. Next step: `bulkhead.kernel.bundles`.
"""

from __future__ import annotations

from functools import cache

from bulkhead.errors import KernelUnable
from bulkhead.kernel.plan import LSM_LIST

ADVICE = "`bulkhead doctor` says what is missing and how to mend it; nothing was loaded"


@cache
def require_enforcing() -> bool:
    """Whether BPF LSM is active: if not, programs go on the functions that call its hooks.

    Raises `KernelUnable` where neither would hold.
    """
    active = LSM_LIST.read_text().strip() if LSM_LIST.is_file() else None
    if active is not None and "bpf" in active.split(","):
        return True
    from bulkhead.kernel.features import FUNCTIONS, detect  # noqa: PLC0415  # slow: tries everything

    report = detect()
    if report.can_enforce:
        return report.bpf_lsm
    if active is None:
        raise KernelUnable(f"this kernel cannot enforce. {ADVICE}")
    (functions,) = (feature for feature in report.features if feature.name == FUNCTIONS)
    raise KernelUnable(
        f"this kernel's active LSMs are {active}, without bpf, and {functions.name}: {functions.found}. {ADVICE}"
    )
