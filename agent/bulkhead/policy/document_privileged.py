"""What the reference page says of sockets and privileged operations: what exactly each word covers.

The words come from `policy.operations`; what they cover is decided by the probes (operation.bpf.c, mount.bpf.c,
capability.bpf.c, special.h, socket.bpf.c). Next step: `policy.document_reference` puts it on the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from bulkhead.abi import Operation
from bulkhead.policy.operations import OPERATION_WORDS, PRIVILEGED

SOCKETS = """\
## Sockets

A rule of `network.sockets` matches where one of its families and one of its types do, when a process makes a socket or
a pair of them. A family or type without a name here is matched by rules that name none, and by the default. A socket of
SMC that is asked for as `inet` with protocol SMC is one of `smc`. Sockets that were made before, or were received from
another process, stay usable.
"""

_COVERED = {
    Operation.MOUNT: "mounting, also bind and remount; unmounting; `pivot_root`; the newer calls `fsopen`, `fsconfig`, "
    "`fsmount`, `fspick`, `open_tree` of a copy, `move_mount`, `mount_setattr`",
    Operation.PTRACE: "attaching to another process, or asking to be traced; reading or writing its memory "
    "(`process_vm_readv`, `/proc/PID/mem`); taking its descriptors (`pidfd_getfd`). Reading what else `/proc/PID` "
    "shows is not",
    Operation.LOAD_MODULE: "loading a module or another kernel (`init_module`, `finit_module`, `kexec_load`, "
    "`kexec_file_load`). Modules that the kernel loads by itself, such as for a socket family, are not: deny that",
    Operation.BPF: "every use of `bpf(2)`",
    Operation.USER_NAMESPACE: "making a user namespace (`clone`, `clone3`, `unshare`)",
    Operation.PERF_EVENT: "`perf_event_open`",
    Operation.IO_URING: "making a ring (`io_uring_setup`). Rings that were made before or received stay usable",
    Operation.KEYRING: "making keys and using them (`add_key`, `request_key`, `keyctl`), also where the kernel looks "
    "for one on the process's behalf",
    Operation.SET_TIME: "setting a clock of the system (`clock_settime`, `settimeofday`, `adjtimex` where it changes "
    "something) or of the hardware",
    Operation.CHROOT: "`chroot`",
    Operation.SET_NAMESPACE: "entering a namespace (`setns`)",
    Operation.RAW_DEVICE: "opening or making a block device, `/dev/mem`, `/dev/kmem`, `/dev/port`, `/dev/snapshot`, "
    "flash memory (MTD) or a SCSI generic device; opening `/proc/kcore` or `/proc/vmcore`. Character devices of NVMe, "
    "and those of bsg, are not known as raw",
    Operation.PROC_MEM: "opening `/proc/PID/mem`, also one's own, also to read",
    Operation.KERNEL_SETTINGS: "opening for writing what belongs to no process in `/proc` (`/proc/sys`, "
    "`/proc/sysrq-trigger`, …); anything in sysfs, debugfs, tracefs, configfs, securityfs, binfmt_misc, efivarfs, "
    "selinuxfs, smackfs; `release_agent` of cgroup v1",
}

_HOW = """\

They are judged when a process asks for one, whatever it is about. For `SetTime`, `Chroot`, `SetNamespace` and the newer
calls of `Mount` that is where the kernel looks for the capability: who lacks it fails as ever, without a violation.
`RawDevice`, `ProcMem` and `KernelSettings` go by what the file is, not by its path: another mount of `/proc`, or a
device node made elsewhere, is no way round.

What a container runtime does in the container's cgroup counts, too. runc joins a keyring before it starts a program, so
`kubectl exec` fails under `Keyring` with Deny; under `SetNamespace` it does where the runtime is put into the cgroup
before it enters the container's namespaces.
"""


def privileged() -> Iterator[str]:
    """The section on privileged operations."""
    yield "## Privileged operations\n"
    yield "| name | what it covers |\n|---|---|"
    yield from (f"| `{OPERATION_WORDS[operation]}` | {_COVERED[operation]} |" for operation in PRIVILEGED)
    yield _HOW
