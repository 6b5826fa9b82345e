"""Which programs there are, and the C that is compiled for a kernel: selection and parameters, no generated logic.

Each program is a function of a probe file, hand-written and generic: what a policy says is data in maps. Adding a hook
is a row here. Next step: `bulkhead.kernel.compiler` compiles what `render` gives.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from bulkhead.abi import ELEMENT_BYTES, NOTICE_BYTES, REST_BYTES, SEEKER_BYTES, KernelFunction, Linked
from bulkhead.errors import InternalError

LSM_LIST = Path("/sys/kernel/security/lsm")  # the active ones, where securityfs is mounted
LSM_PREFIX = "bpf_lsm_"  # of the functions that LSM programs are attached to


class Kind(Enum):
    """How a program is loaded and attached: BPF_PROG_TYPE_* and BPF_* attach types of include/uapi/linux/bpf.h.

    A FUNCTION program precedes a function of the kernel; a DECIDING one also takes its place where it returns an error.
    """

    LSM = (29, 27)
    DECIDING = (26, 26)
    TRACEPOINT = (26, 23)
    FUNCTION = (26, 24)
    CGROUP_EGRESS = (8, 1)
    CGROUP_CONNECT4 = (18, 10)
    CGROUP_CONNECT6 = (18, 11)

    @property
    def program_type(self) -> int:
        """BPF_PROG_TYPE_*."""
        return self.value[0]

    @property
    def attach_type(self) -> int:
        """The expected attach type."""
        return self.value[1]

    @property
    def on_cgroup(self) -> bool:
        """Attached to each container's cgroup, rather than once to the kernel."""
        return self in (Kind.CGROUP_EGRESS, Kind.CGROUP_CONNECT4, Kind.CGROUP_CONNECT6)


@dataclass(frozen=True)
class Program:
    """A program: its function's name, the probe file it is in, and the hook, where that has another name.

    An optional one is left out where the kernel has no such hook, because there is nothing then that it would judge.
    `function` is the kernel's function that calls an LSM hook, where that is not named after it, and `decides` says
    whether it returns anything: see `on_functions`. A program may be there only `without_lsm`.
    """

    name: str
    source: str
    kind: Kind
    hooked: str = ""
    optional: bool = False
    function: str = ""
    decides: bool = True
    without_lsm: bool = False

    @property
    def hook(self) -> str:
        """The name of the hook, tracepoint or function of the kernel; of no meaning for programs on cgroups."""
        return self.hooked or self.name

    @property
    def target(self) -> str:
        """The kernel's function that the program is attached to; of no meaning for tracepoints and cgroups."""
        return LSM_PREFIX + self.hook if self.kind is Kind.LSM else self.hook

    def on_functions(self) -> Program:
        """The same program where BPF LSM is not active: on the function that calls its hook."""
        if self.kind is not Kind.LSM:
            return self
        kind = Kind.DECIDING if self.decides else Kind.FUNCTION
        return replace(self, kind=kind, hooked=self.function or f"security_{self.hook}")


PROGRAMS = (
    Program("file_open", "file.bpf.c", Kind.LSM),
    Program("file_receive", "file.bpf.c", Kind.LSM),
    Program("bprm_check_security", "exec.bpf.c", Kind.LSM, function="security_bprm_check"),
    Program("mmap_file", "map.bpf.c", Kind.LSM),
    Program("file_mprotect", "map.bpf.c", Kind.LSM),
    Program("inode_create", "create.bpf.c", Kind.LSM),
    Program("inode_mkdir", "create.bpf.c", Kind.LSM),
    Program("inode_mknod", "create.bpf.c", Kind.LSM),
    Program("inode_symlink", "create.bpf.c", Kind.LSM),
    Program("inode_unlink", "remove.bpf.c", Kind.LSM),
    Program("inode_rmdir", "remove.bpf.c", Kind.LSM),
    Program("inode_link", "relocate.bpf.c", Kind.LSM),
    Program("inode_rename", "relocate.bpf.c", Kind.LSM),
    Program("inode_exchange", "relocate.bpf.c", Kind.LSM, "inode_rename", without_lsm=True),
    Program("inode_free", "forget.bpf.c", Kind.FUNCTION, "security_inode_free", without_lsm=True),
    Program("sk_free", "forget.bpf.c", Kind.FUNCTION, "security_sk_free", without_lsm=True),
    Program("inet_free", "forget.bpf.c", Kind.FUNCTION, "inet_sock_destruct", without_lsm=True),
    Program("inode_setattr", "attributes.bpf.c", Kind.LSM),
    Program("inode_setxattr", "attributes.bpf.c", Kind.LSM),
    Program("inode_removexattr", "attributes.bpf.c", Kind.LSM),
    Program("inode_set_acl", "attributes.bpf.c", Kind.LSM, optional=True),
    Program("inode_remove_acl", "attributes.bpf.c", Kind.LSM, optional=True),
    Program("inode_file_setattr", "attributes.bpf.c", Kind.LSM, optional=True),
    Program("file_ioctl", "attributes.bpf.c", Kind.LSM),
    Program("file_ioctl_compat", "attributes.bpf.c", Kind.LSM, optional=True),
    Program("capable", "capability.bpf.c", Kind.LSM),
    Program("sb_mount", "mount.bpf.c", Kind.LSM),
    Program("sb_umount", "mount.bpf.c", Kind.LSM),
    Program("sb_pivotroot", "mount.bpf.c", Kind.LSM),
    Program("ptrace_access_check", "operation.bpf.c", Kind.LSM),
    Program("ptrace_traceme", "operation.bpf.c", Kind.LSM),
    Program("kernel_read_file", "operation.bpf.c", Kind.LSM),
    Program("kernel_load_data", "operation.bpf.c", Kind.LSM),
    Program("bpf", "operation.bpf.c", Kind.LSM),
    Program("userns_create", "operation.bpf.c", Kind.LSM, function="security_create_user_ns"),
    Program("perf_event_open", "operation.bpf.c", Kind.LSM),
    Program("inode_init_security_anon", "operation.bpf.c", Kind.LSM),
    Program("key_alloc", "operation.bpf.c", Kind.LSM),
    Program("key_permission", "operation.bpf.c", Kind.LSM),
    Program("socket_create", "socket.bpf.c", Kind.LSM),
    Program("unix_stream_connect", "unix.bpf.c", Kind.LSM),
    Program("unix_may_send", "unix.bpf.c", Kind.LSM),
    Program("socket_connect", "network_kill.bpf.c", Kind.LSM),
    Program("socket_sendmsg", "network_kill.bpf.c", Kind.LSM),
    Program("bpf_map", "tampering.bpf.c", Kind.LSM),
    Program("bpf_prog", "tampering.bpf.c", Kind.LSM),
    Program("tamper_bpf", "tampering.bpf.c", Kind.LSM, "bpf"),
    Program("bpf_link_new_fd", "tampering.bpf.c", Kind.FUNCTION),
    Program("task_kill", "tampering.bpf.c", Kind.LSM),
    Program("tamper_ptrace", "tampering.bpf.c", Kind.LSM, "ptrace_access_check"),
    Program("task_setrlimit", "tampering.bpf.c", Kind.LSM),
    Program("task_setscheduler", "tampering.bpf.c", Kind.LSM),
    Program("task_setnice", "tampering.bpf.c", Kind.LSM),
    Program("tamper_umount", "tampering.bpf.c", Kind.LSM, "sb_umount"),
    Program("tamper_unlink", "tampering.bpf.c", Kind.LSM, "inode_unlink"),
    Program("tamper_rename", "tampering.bpf.c", Kind.LSM, "inode_rename"),
    Program("tamper_rmdir", "tampering.bpf.c", Kind.LSM, "inode_rmdir"),
    Program("socket_recvmsg", "network_kill.bpf.c", Kind.LSM),
    Program("bprm_committed_creds", "subject.bpf.c", Kind.LSM, decides=False),
    Program("ptrace_subject", "subject.bpf.c", Kind.LSM, "ptrace_access_check"),
    Program("task_prctl", "subject.bpf.c", Kind.LSM),
    Program("fork_subject", "subject.bpf.c", Kind.TRACEPOINT, "sched_process_fork"),
    Program("cgroup_mkdir", "inherit.bpf.c", Kind.TRACEPOINT),
    Program("cgroup_release", "inherit.bpf.c", Kind.TRACEPOINT),
    Program("start_exec", "start.bpf.c", Kind.LSM, "bprm_check_security", function="security_bprm_check"),
    Program("start_mount", "start.bpf.c", Kind.LSM, "sb_mount"),
    Program("start_release", "start.bpf.c", Kind.TRACEPOINT, "cgroup_release"),
    Program("cgroup_move_task", "depart.bpf.c", Kind.FUNCTION),
    Program("sched_process_fork", "depart.bpf.c", Kind.TRACEPOINT),
    Program("task_free", "depart.bpf.c", Kind.LSM, decides=False),
    Program("socket_post_create", "departed_socket.bpf.c", Kind.LSM),
    Program("egress", "egress.bpf.c", Kind.CGROUP_EGRESS),
    Program("connect4", "egress.bpf.c", Kind.CGROUP_CONNECT4),
    Program("connect6", "egress.bpf.c", Kind.CGROUP_CONNECT6),
)


def programs_for(bpf_lsm: bool) -> tuple[Program, ...]:
    """The programs as they are attached where BPF LSM is active, or is not."""
    if bpf_lsm:
        return tuple(program for program in PROGRAMS if not program.without_lsm)
    return tuple(program.on_functions() for program in PROGRAMS)


class Linkage(Enum):
    """How the verifier takes a shared function.

    GLOBAL ones are verified once on their own, CALLBACK ones where bpf_loop is called. TRUSTED ones are given a pointer
    to an object of the kernel. They are GLOBAL where the kernel knows the parameter tag `arg:trusted` (Linux 6.9) and
    trusts what the program has, which from Linux 7 on it does less often; else they are static functions, which are
    verified at each call: the loader finds out by trying.
    """

    GLOBAL = "global"
    CALLBACK = "callback"
    TRUSTED = "trusted"


@dataclass(frozen=True)
class Function:
    """A function that programs share. `argument_bytes` is the size of the structure that a global one is given, if any.

    Parameters of a trusted one are a pointer to `points_to`, a structure of the kernel's, and `words` after it.
    """

    name: str
    number: Linked
    linkage: Linkage
    argument_bytes: int = 0
    points_to: str = ""
    words: tuple[str, ...] = ()


FUNCTIONS = (
    Function("step", Linked.STEP, Linkage.GLOBAL, ELEMENT_BYTES),
    Function("step_piece", Linked.STEP_PIECE, Linkage.GLOBAL, REST_BYTES),
    Function("report", Linked.REPORT, Linkage.GLOBAL, NOTICE_BYTES),
    Function("emit", Linked.EMIT, Linkage.GLOBAL, NOTICE_BYTES),
    Function("find_subject", Linked.FIND_SUBJECT, Linkage.GLOBAL, SEEKER_BYTES),
    Function("find_container", Linked.FIND_CONTAINER, Linkage.GLOBAL),
    Function("resolve_path", Linked.RESOLVE_PATH, Linkage.TRUSTED, points_to="path", words=("epoch", "known")),
    Function("resolve_dentry", Linked.RESOLVE_DENTRY, Linkage.TRUSTED, points_to="dentry", words=("epoch",)),
    Function("walk_up", Linked.WALK_UP, Linkage.CALLBACK),
    Function("walk_ancestor", Linked.WALK_ANCESTOR, Linkage.CALLBACK),
    Function("walk_down", Linked.WALK_DOWN, Linkage.CALLBACK),
    Function("write_element", Linked.WRITE_ELEMENT, Linkage.CALLBACK),
)

# What programs call of the kernel's own, by its names.
KERNEL_FUNCTIONS = {
    KernelFunction.TASK_FROM_PID: "bpf_task_from_pid",
    KernelFunction.TASK_RELEASE: "bpf_task_release",
    KernelFunction.READONLY_CAST: "bpf_rdonly_cast",
}


@dataclass(frozen=True)
class Parameters:
    """What differs between kernels, as given to the C (probes/include/compat.h).

    `bpf_lsm` says that BPF LSM is active; else programs are on the functions that call the hooks.
    `layers_have_paths`, which is for user space, says that an overlay's access to a file of its layers shows the path
    of that file (Linux 6.8, def3ae83da02), not the overlay's.
    """

    cgroup_storage: bool
    storage_cache: bool = True
    idmapped_setattr: bool = True
    layers_have_paths: bool = True
    direct_file_path: bool = True
    task_from_pid: bool = True
    readonly_cast: bool = True
    busy_task_storage: bool = False
    bpf_lsm: bool = True

    def defines(self) -> dict[str, int]:
        """The `#define`s, by name."""
        return {
            "HAVE_BPF_LSM": int(self.bpf_lsm),
            "HAVE_CGROUP_STORAGE": int(self.cgroup_storage),
            "HAVE_STORAGE_CACHE": int(self.storage_cache),
            "HAVE_IDMAPPED_SETATTR": int(self.idmapped_setattr),
            "HAVE_DIRECT_FILE_PATH": int(self.direct_file_path),
            "HAVE_TASK_FROM_PID": int(self.task_from_pid),
            "HAVE_READONLY_CAST": int(self.readonly_cast),
            "HAVE_BUSY_TASK_STORAGE": int(self.busy_task_storage),
        }


def render(parameters: Parameters) -> str:
    """The C text that is compiled: definitions, then each probe file once."""
    defines = [f"#define {name} {value}" for name, value in parameters.defines().items()]
    sources = dict.fromkeys(program.source for program in PROGRAMS)
    return "\n".join([*defines, *(f'#include "{source}"' for source in sources)]) + "\n"


def probes_directory() -> Path:
    """Where the probe sources are: BULKHEAD_PROBES, the image's folder, or the checkout's."""
    here = Path(__file__).resolve()
    named = os.environ.get("BULKHEAD_PROBES")
    candidates = [Path(named)] if named else [Path("/usr/share/bulkhead/probes"), here.parents[3] / "probes"]
    for candidate in candidates:
        if (candidate / "include/abi.h").is_file():
            return candidate
    raise InternalError(f"probe sources not found in {', '.join(map(str, candidates))}; nothing was loaded")
