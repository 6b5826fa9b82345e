"""What this kernel answers when it is asked: every program type, map and helper tried once, nothing left behind.

By trying, not by version: distributions backport, and some kernels refuse what their version promises. An answer is an
error number, 0 where it worked, None where it could not be tried. Next step: `features` says what the answers mean.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from bulkhead.errors import KernelUnable
from bulkhead.kernel import bpf_syscall as bpf
from bulkhead.kernel import libbpf
from bulkhead.kernel.bpf_syscall import AttachType, MapType, ProgramType
from bulkhead.kernel.compiler import compiler_version
from bulkhead.kernel.kernel_btf import has_busy_storage
from bulkhead.kernel.plan import LSM_LIST, LSM_PREFIX, Kind, programs_for

BTF = Path("/sys/kernel/btf/vmlinux")
LOCKDOWN = Path("/sys/kernel/security/lockdown")
UNPRIVILEGED = Path("/proc/sys/kernel/unprivileged_bpf_disabled")
TRIED_HOOK = "file_open"
TRIED_TRACEPOINT = "cgroup_mkdir"
BPF_LOOP_HELPER = 181
RECURSION_MARK = b"\0__bpf_prog_enter_recur\0"  # came with the change that no longer skips LSM programs on recursion
# A counter of each processor, by which a look-up of what is kept on tasks finds nothing while another is under way; LSM
# programs' helper has gone without it since this other one came (6.2).
OWN_CONFIGURATION = Path("/proc/config.gz")
GZIP_MAGIC, XZ_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\0"
FUNCTION_KIND, TYPEDEF_KIND = 12, 8  # BTF_KIND_*
PREEMPTION_NAMED = re.compile(r"\bPREEMPT(\w*)")
CHOSEN_PREEMPTION = "sys/kernel/debug/sched/preempt"  # none voluntary (full)
ROOTS = (Path("/"), Path("/proc/1/root"))  # our own, and the node's, where we are a container that sees its processes
PREEMPTION_OPTIONS = {
    "none": "CONFIG_PREEMPT_NONE",
    "voluntary": "CONFIG_PREEMPT_VOLUNTARY",
    "lazy": "CONFIG_PREEMPT_LAZY",
    "full": "CONFIG_PREEMPT",
}

# kind: (key bytes, value bytes, entries), flags, whether the map must be described by BTF
MAPS = {
    MapType.ARRAY: ((4, 8, 1), 0, False),
    MapType.LPM_TRIE: ((8, 4, 1), bpf.NO_PREALLOC, False),
    MapType.CGROUP_STORAGE: ((8, 8, 0), 0, False),
    MapType.RINGBUF: ((0, 0, 65536), 0, False),
    MapType.INODE_STORAGE: ((4, 4, 0), bpf.NO_PREALLOC, True),
    MapType.TASK_STORAGE: ((4, 4, 0), bpf.NO_PREALLOC, True),
    MapType.CGRP_STORAGE: ((4, 4, 0), bpf.NO_PREALLOC, True),
}


@dataclass(frozen=True)
class Facts:
    """The answers. Error numbers are 0 where it worked and None where it was not tried; see the module docstring."""

    release: str
    capabilities: int = 0  # effective, as a bit set
    btf: bool = False
    libbpf: str = ""  # version
    bcc: str = ""  # version
    hooks_missing: tuple[str, ...] = ()
    functions_missing: tuple[str, ...] = ()  # which programs would be on where BPF LSM is not active
    function_called: bool | None = None  # a program that may take such a function's place
    preemption: str = "unknown"  # none, voluntary, lazy, full
    lsm_load: int | None = None
    lsm_attach: int | None = None
    lsm_called: bool | None = None
    lsm_list: tuple[str, ...] | None = None  # None: securityfs is not mounted
    lsm_configured: str | None = None  # CONFIG_BPF_LSM, None where the configuration cannot be read
    recursion_safe: bool | None = None
    busy_storage: bool = False  # a look-up may find nothing while a task is preempted in another
    tracing: int | None = None
    egress: int | None = None
    connect: int | None = None
    bpf_loop: int | None = None
    maps: Mapping[MapType, int] = field(default_factory=dict)
    bpf_file_systems: tuple[str, ...] = ()  # mount points
    lockdown: str | None = None
    unprivileged: str | None = None


def gather() -> Facts:
    """Ask the running kernel. Takes well under a second, and loads nothing that outlives the call."""
    load, attach, called = _try_lsm()
    types = BTF.read_bytes() if BTF.exists() else b""
    return Facts(
        release=platform.release(),
        capabilities=_effective_capabilities(Path("/proc/self/status").read_text()),
        btf=bool(types),
        libbpf=_libbpf_version(),
        bcc=_bcc_version(),
        hooks_missing=_missing_targets(bpf_lsm=True),
        functions_missing=_missing_targets(bpf_lsm=False),
        function_called=_try_function(),
        preemption=read_preemption(os.uname().version, Path("/proc/cmdline").read_text()),
        lsm_load=load,
        lsm_attach=attach,
        lsm_called=called,
        lsm_list=_words(LSM_LIST),
        lsm_configured=_configured("CONFIG_BPF_LSM"),
        recursion_safe=RECURSION_MARK in types if types else None,
        busy_storage=has_busy_storage(types),
        tracing=_try_tracing(),
        egress=_attempt(bpf.loaded_program(ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, bpf.RETURN_1)),
        connect=_attempt(
            bpf.loaded_program(ProgramType.CGROUP_SOCK_ADDR, AttachType.CGROUP_INET4_CONNECT, bpf.RETURN_1)
        ),
        bpf_loop=_try_helper(BPF_LOOP_HELPER),
        maps=_try_maps(),
        bpf_file_systems=_mount_points("bpf", Path("/proc/self/mounts").read_text(errors="surrogateescape")),
        lockdown=_chosen(LOCKDOWN),
        unprivileged=UNPRIVILEGED.read_text().strip() if UNPRIVILEGED.exists() else None,
    )


def _attempt(made: AbstractContextManager[object]) -> int:
    """0, or the error number with which making the thing failed. It is unmade at once."""
    try:
        with made:
            return 0
    except OSError as error:
        return error.errno or errno.EINVAL


def _kernel_type(name: str, kind: int) -> int | None:
    try:
        return libbpf.kernel_type(name, kind)
    except KernelUnable:
        return None


def _try_lsm() -> tuple[int | None, int | None, bool | None]:
    """(loading, attaching, whether the kernel called it): a program that notes its call and allows."""
    hook = _kernel_type(LSM_PREFIX + TRIED_HOOK, FUNCTION_KIND)
    if hook is None:
        return None, None, None
    shape, flags, _ = MAPS[MapType.ARRAY]
    try:
        with bpf.loaded_map(MapType.ARRAY, shape, flags) as calls:
            noting = bpf.store_in_array(calls, 1) + bpf.RETURN_0
            with bpf.loaded_program(ProgramType.LSM, AttachType.LSM_MAC, noting, hook) as program:
                attach, called = _try_attach(program, calls)
                return 0, attach, called
    except OSError as error:
        return error.errno or errno.EINVAL, None, None


def _try_attach(program: int, calls: int) -> tuple[int, bool | None]:
    try:
        with bpf.attached(program):
            os.close(os.open("/proc/self/status", os.O_RDONLY | os.O_CLOEXEC))
            return 0, bpf.first_value(calls) == 1
    except OSError as error:
        return error.errno or errno.EINVAL, None


def _try_function() -> bool | None:
    """Whether a program that may take the place of one of the functions that call LSM hooks is called."""
    function = _kernel_type(f"security_{TRIED_HOOK}", FUNCTION_KIND)
    if function is None:
        return None
    shape, flags, _ = MAPS[MapType.ARRAY]
    try:
        with bpf.loaded_map(MapType.ARRAY, shape, flags) as calls:
            noting = bpf.store_in_array(calls, 1) + bpf.RETURN_0
            with bpf.loaded_program(ProgramType.TRACING, AttachType.MODIFY_RETURN, noting, function) as program:
                return bool(_try_attach(program, calls)[1])
    except OSError:
        return False


def _try_tracing() -> int | None:
    """Loading and attaching a program that does nothing to a tracepoint of ours."""
    tracepoint = _kernel_type(f"btf_trace_{TRIED_TRACEPOINT}", TYPEDEF_KIND)
    if tracepoint is None:
        return None
    try:
        with bpf.loaded_program(ProgramType.TRACING, AttachType.TRACE_RAW_TP, bpf.RETURN_0, tracepoint) as program:
            return _attempt(bpf.attached(program))
    except OSError as error:
        return error.errno or errno.EINVAL


def _try_helper(helper: int) -> int:
    """Call it without arguments: the verifier says EACCES to the missing arguments only where it knows the helper."""
    code = bpf.call(helper) + bpf.RETURN_1
    number = _attempt(bpf.loaded_program(ProgramType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, code))
    return 0 if number == errno.EACCES else number


def _try_maps() -> dict[MapType, int]:
    answers = {
        kind: _attempt(bpf.loaded_map(kind, shape, flags)) for kind, (shape, flags, typed) in MAPS.items() if not typed
    }
    typed_kinds = [kind for kind, (_, _, typed) in MAPS.items() if typed]
    try:
        with bpf.loaded_btf() as btf:
            for kind in typed_kinds:
                shape, flags, _ = MAPS[kind]
                answers[kind] = _attempt(bpf.loaded_map(kind, shape, flags, btf))
    except OSError as error:
        answers |= dict.fromkeys(typed_kinds, error.errno or errno.EINVAL)
    return answers


def _missing_targets(bpf_lsm: bool) -> tuple[str, ...]:
    """Hooks or functions that the kernel's BTF does not have; empty where there is no BTF to look in."""
    if not BTF.exists() or not _libbpf_version():
        return ()
    on_functions = (Kind.LSM, Kind.DECIDING, Kind.FUNCTION)
    needed = [each for each in programs_for(bpf_lsm) if each.kind in on_functions and not each.optional]
    return tuple(each.hook for each in needed if _kernel_type(each.target, FUNCTION_KIND) is None)


def read_preemption(version: str, command_line: str) -> str:
    """When the kernel takes the processor from a task in the kernel: none, voluntary, lazy, full, or unknown.

    `version` is of uname(2). A kernel that can do all of them says in debugfs what it does; else its command line or
    its configuration does.
    """
    model = PREEMPTION_NAMED.search(version)
    if model is None:
        return "voluntary"  # or none
    if model[1] != "_DYNAMIC":
        return "full"
    if chosen := next(filter(None, (_chosen(root / CHOSEN_PREEMPTION, "()") for root in ROOTS)), None):
        return chosen
    if asked := [word.partition("=")[2] for word in command_line.split() if word.startswith("preempt=")]:
        return asked[-1]
    return next((mode for mode, option in PREEMPTION_OPTIONS.items() if _configured(option) == "y"), "unknown")


def _effective_capabilities(status: str) -> int:
    return next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)


def _libbpf_version() -> str:
    try:
        library = ctypes.CDLL("libbpf.so.1")
    except OSError:
        return ""
    return f"{library.libbpf_major_version()}.{library.libbpf_minor_version()}"


def _bcc_version() -> str:
    try:
        return compiler_version().removeprefix("__version__ = ").strip("'\"")
    except KernelUnable:
        return ""


def _words(path: Path) -> tuple[str, ...] | None:
    try:
        return tuple(path.read_text().strip().split(","))
    except OSError:
        return None


def _chosen(path: Path, brackets: str = "[]") -> str | None:
    """The word in brackets, as in `none [integrity] confidentiality`."""
    try:
        return path.read_text().partition(brackets[0])[2].partition(brackets[1])[0]
    except OSError:
        return None


def _mount_points(fstype: str, table: str) -> tuple[str, ...]:
    rows = (line.split(" ") for line in table.splitlines())
    return tuple(row[1] for row in rows if row[2] == fstype)


def _configured(option: str) -> str | None:
    """The value of an option of the kernel's configuration, "n" where it is not set, None where it cannot be read."""
    for path in (OWN_CONFIGURATION, *(root / f"boot/config-{platform.release()}" for root in ROOTS)):
        try:
            text = _unpacked(path.read_bytes())
        except OSError:
            continue
        if text is not None:
            return option_value(text, option)
    return None


def option_value(configuration: bytes, option: str) -> str:
    """The value of `option` in a kernel configuration, "n" where it is not set."""
    wanted = option.encode() + b"="
    lines = (line for line in configuration.splitlines() if line.startswith(wanted))
    return next((line.removeprefix(wanted).decode(errors="replace") for line in lines), "n")


def _unpacked(content: bytes) -> bytes | None:
    """A configuration as text: distributions store it plainly, with gzip or with xz. None where it is none of these."""
    if content.startswith(GZIP_MAGIC):
        import gzip  # noqa: PLC0415  # seldom needed, slow to import

        return gzip.decompress(content)
    if content.startswith(XZ_MAGIC):
        import lzma  # noqa: PLC0415

        return lzma.decompress(content)
    return content if content.isascii() else None
