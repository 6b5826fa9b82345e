"""What the kernel's answers mean for enforcement: which features are there, what is missing, and how to mend it.

Pure but for `detect`: the answers come from `facts`. A feature is `needed` where nothing can be enforced, or not all
sections of a policy, without it; the others make things cheaper or safer. Next step: `bulkhead doctor` (cli/doctor.py)
adds what it knows of the node and shows it; `bulkhead.kernel.instance` loads what was found possible.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkhead.kernel.bpf_syscall import MapType
from bulkhead.kernel.facts import Facts, gather

NOT_SUPPORTED = 524  # ENOTSUPP, which the kernel lets out although user space has no name for it
CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 12, 21, 38, 39
NEEDED_CAPABILITIES = {"CAP_BPF": CAP_BPF, "CAP_PERFMON": CAP_PERFMON, "CAP_NET_ADMIN": CAP_NET_ADMIN}
IMPLIED_LSMS = frozenset({"capability", "ima", "evm"})  # the kernel adds them itself
OTHER_KERNEL = "boot another kernel; those of Debian from 12 on can"

PRIVILEGES = "privileges"
CGROUP_V2 = "cgroup v2"
LSM_PROGRAMS = "LSM programs"
LSM_ATTACHED = "LSM attachment"
LSM_ACTIVE = "BPF LSM active"
LSM_HOOKS = "LSM hooks"
LSM_RECURSION = "LSM recursion"
FUNCTIONS = "programs on functions"
STORAGE_LOOKUPS = "storage look-ups"
TRACING = "tracing programs"
EGRESS = "egress programs"
CONNECT = "connect programs"
INODE_STORAGE = "inode storage"
TASK_STORAGE = "task storage"
NETWORK_STORAGE = "network storage"
PREFIXES = "prefix trie"
RING_BUFFER = "ring buffer"
LOOP = "bpf_loop"
TYPES = "kernel BTF"
LIBBPF = "libbpf"

EVERY_SECTION = (PRIVILEGES, LIBBPF, TYPES, CGROUP_V2, TRACING, TASK_STORAGE, RING_BUFFER, LOOP)
LSM = (LSM_PROGRAMS, LSM_ATTACHED, LSM_ACTIVE, LSM_HOOKS, LSM_RECURSION)
SECTIONS = {
    "exec": (*EVERY_SECTION, *LSM, INODE_STORAGE),
    "files": (*EVERY_SECTION, *LSM, INODE_STORAGE),
    "egress": (*EVERY_SECTION, EGRESS, CONNECT, NETWORK_STORAGE, PREFIXES),
    "sockets": (*EVERY_SECTION, *LSM),
    "capabilities": (*EVERY_SECTION, *LSM),
    "operations": (*EVERY_SECTION, *LSM),
}


@dataclass(frozen=True)
class Feature:
    """One thing that was looked for. `ok` is None where it could not be tried because something before it is missing.

    `found` says what is there, in words; `remedy` how to mend it, empty where there is nothing to mend.
    """

    name: str
    ok: bool | None
    needed: bool
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was looked for on one kernel (`kernel` is its release)."""

    kernel: str
    features: tuple[Feature, ...]

    @property
    def can_enforce(self) -> bool:
        """Whether every section of a policy can be enforced."""
        return all(feature.ok for feature in self.features if feature.needed)

    def missing(self, section: str) -> tuple[str, ...]:
        """Names of the features that `section` (a key of SECTIONS) needs and that are not there; empty: enforceable."""
        needed = [feature for feature in self.features if feature.needed and feature.name in SECTIONS[section]]
        return tuple(feature.name for feature in needed if not feature.ok)

    @property
    def bpf_lsm(self) -> bool:
        """Whether programs go on LSM hooks; else, where the kernel can enforce, on the functions that call them."""
        return all(feature.ok for feature in self.features if feature.name in LSM)


def detect(of_the_node: Sequence[Feature] = ()) -> Report:
    """Try everything on the running kernel and leave nothing behind. `of_the_node` is what the caller looked at."""
    return judge(gather(), of_the_node)


def judge(facts: Facts, of_the_node: Sequence[Feature] = ()) -> Report:
    """The report on these answers."""
    features = (
        _privileges(facts),
        Feature(
            TYPES,
            facts.btf,
            True,
            "/sys/kernel/btf/vmlinux" if facts.btf else "this kernel has none",
            "" if facts.btf else f"CONFIG_DEBUG_INFO_BTF=y; {OTHER_KERNEL}",
        ),
        _package(LIBBPF, facts.libbpf, True, "install libbpf 1.x (Debian: libbpf1)"),
        _package("bcc", facts.bcc, False, "install python3-bpfcc, or bring a bundle from `bulkhead compile`"),
        *of_the_node,
        _lsm_programs(facts),
        _lsm_attachment(facts),
        _lsm_active(facts),
        _lsm_hooks(facts),
        _lsm_recursion(facts),
        _functions(facts),
        _tried(TRACING, facts.tracing, facts, "CONFIG_DEBUG_INFO_BTF=y and CONFIG_FTRACE=y"),
        _tried(EGRESS, facts.egress, facts, "CONFIG_CGROUP_BPF=y"),
        _tried(CONNECT, facts.connect, facts, "CONFIG_CGROUP_BPF=y"),
        _tried(LOOP, facts.bpf_loop, facts, "it came with 5.17"),
        _tried(RING_BUFFER, facts.maps.get(MapType.RINGBUF), facts, "it came with 5.8"),
        _inode_storage(facts),
        _tried(TASK_STORAGE, facts.maps.get(MapType.TASK_STORAGE), facts, "it came with 5.11"),
        _tried(NETWORK_STORAGE, facts.maps.get(MapType.CGROUP_STORAGE), facts, "CONFIG_CGROUP_BPF=y"),
        _tried(PREFIXES, facts.maps.get(MapType.LPM_TRIE), facts, "CONFIG_BPF_SYSCALL=y"),
        _cgroup_binding(facts),
        _storage_lookups(facts),
        _bpf_file_system(facts),
        _lockdown(facts),
        _unprivileged(facts),
    )
    by_name = {each.name: each for each in features}
    if by_name[LSM_ACTIVE].ok or not by_name[FUNCTIONS].ok or "bpf" in (facts.lsm_list or ()):
        return Report(facts.release, features)
    return Report(facts.release, tuple(_without_lsm(each) for each in features))


def _without_lsm(feature: Feature) -> Feature:
    """Where programs can be on functions, an inactive BPF LSM is no loss of enforcement."""
    return replace(feature, needed=False) if feature.name in (*LSM, INODE_STORAGE) else feature


def _privileges(facts: Facts) -> Feature:
    missing = [name for name, number in NEEDED_CAPABILITIES.items() if not _has(facts, number)]
    if missing:
        remedy = "run as root, or give the process these capabilities"
        return Feature(PRIVILEGES, False, True, f"this process lacks {', '.join(missing)}", remedy)
    return Feature(PRIVILEGES, True, True, f"{', '.join(NEEDED_CAPABILITIES)}")


def _has(facts: Facts, capability: int) -> bool:
    return bool(facts.capabilities & (1 << capability | 1 << CAP_SYS_ADMIN))


def _may_load(facts: Facts) -> bool:
    return all(_has(facts, number) for number in NEEDED_CAPABILITIES.values())


def _package(name: str, version: str, needed: bool, remedy: str) -> Feature:
    return Feature(name, bool(version), needed, version or "not installed", "" if version else remedy)


def _refusal(number: int, facts: Facts, what: str) -> str:
    """An error number in words."""
    if number == errno.EPERM and _may_load(facts):
        return f"this kernel refuses {what} (EPERM) also for root"
    if number == errno.EPERM:
        return "not permitted to this process (EPERM)"
    if number == NOT_SUPPORTED:
        return "not supported here (ENOTSUPP): the BPF JIT may be off"
    return f"refused: {os.strerror(number)} ({errno.errorcode.get(number, number)})"


def _tried(name: str, number: int | None, facts: Facts, condition: str) -> Feature:
    if number == 0:
        return Feature(name, True, True, "works")
    if number is None:
        return Feature(name, None, True, "could not be tried", f"mend what is missing above; needs {condition}")
    remedy = f"{OTHER_KERNEL} ({condition})" if _may_load(facts) else "run as root"
    return Feature(name, False, True, _refusal(number, facts, name), remedy)


def _lsm_programs(facts: Facts) -> Feature:
    configured = "" if facts.lsm_configured is None else f" (CONFIG_BPF_LSM={facts.lsm_configured})"
    if facts.lsm_load == 0:
        return Feature(LSM_PROGRAMS, True, True, "can be loaded")
    if facts.lsm_load is None and facts.btf and facts.libbpf:
        found = f"this kernel has no BPF LSM{configured}"
        return Feature(LSM_PROGRAMS, False, True, found, f"CONFIG_BPF_LSM=y; {OTHER_KERNEL}")
    if facts.lsm_load is None:
        return _tried(LSM_PROGRAMS, None, facts, "CONFIG_BPF_LSM=y")
    remedy = OTHER_KERNEL if _may_load(facts) else "run as root"
    return Feature(LSM_PROGRAMS, False, True, _refusal(facts.lsm_load, facts, LSM_PROGRAMS) + configured, remedy)


def _lsm_attachment(facts: Facts) -> Feature:
    if facts.lsm_attach == 0:
        return Feature(LSM_ATTACHED, True, True, "works")
    return _tried(LSM_ATTACHED, facts.lsm_attach, facts, "the BPF JIT on and CONFIG_DYNAMIC_FTRACE=y")


def _lsm_active(facts: Facts) -> Feature:
    """Whether an attached program is called; the list of active modules explains it where it can be read."""
    modules = facts.lsm_list
    listed = "the list cannot be read (securityfs is not mounted)" if modules is None else f"lsm={','.join(modules)}"
    if facts.lsm_called:
        return Feature(LSM_ACTIVE, True, True, f"programs are called; {listed}")
    inactive = modules is not None and "bpf" not in modules
    if facts.lsm_called is None and not inactive:
        return Feature(LSM_ACTIVE, None, True, f"could not be tried; {listed}", "mend what is missing above")
    found = f"programs are not called: bpf is not among the active modules; {listed}"
    return Feature(LSM_ACTIVE, False, True, found, _boot_with_bpf(modules))


def _boot_with_bpf(modules: tuple[str, ...] | None) -> str:
    if modules is None:
        return "add bpf to lsm=… on the kernel command line, after the modules that are active now, and reboot"
    present = [module for module in modules if module not in IMPLIED_LSMS and module != "bpf"]
    return f"put lsm={','.join([*present, 'bpf'])} on the kernel command line (GRUB_CMDLINE_LINUX) and reboot"


def _lsm_hooks(facts: Facts) -> Feature:
    if facts.lsm_load is None:
        return Feature(LSM_HOOKS, None, True, "could not be looked up", "mend what is missing above")
    if facts.hooks_missing:
        return Feature(LSM_HOOKS, False, True, f"missing: {', '.join(facts.hooks_missing)}", OTHER_KERNEL)
    return Feature(LSM_HOOKS, True, True, "all there")


def _lsm_recursion(facts: Facts) -> Feature:
    """Before 6.2 (6.1.54 of the stable series) a hook met while the same program runs on the processor was skipped."""
    if facts.recursion_safe is None:
        return Feature(LSM_RECURSION, None, True, "could not be looked up", "mend what is missing above")
    if facts.recursion_safe:
        return Feature(LSM_RECURSION, True, True, "programs are never skipped")
    found = "programs are skipped when one interrupts another: a way around every policy"
    return Feature(LSM_RECURSION, False, True, found, "boot 6.2 or later, or 6.1.54 or later of 6.1")


def _functions(facts: Facts) -> Feature:
    """The way without BPF LSM. A program is skipped where another task interrupts it and calls the same function."""
    if not facts.function_called:
        found = "a program cannot take the place of a function that calls LSM hooks"
        return Feature(FUNCTIONS, False if facts.function_called is False else None, False, found)
    if facts.functions_missing:
        return Feature(FUNCTIONS, False, False, f"missing: {', '.join(facts.functions_missing)}")
    if facts.preemption in ("none", "voluntary"):
        return Feature(FUNCTIONS, True, False, f"can take the place of LSM hooks; preemption is {facts.preemption}")
    if facts.preemption == "unknown":
        found = "whether tasks are preempted in the kernel is not known; then programs may be skipped: a way round"
    else:
        found = f"tasks are preempted in the kernel ({facts.preemption}), so programs may be skipped: a way round"
    return Feature(FUNCTIONS, False, False, found)


def _inode_storage(facts: Facts) -> Feature:
    """Some kernels refuse the map while BPF LSM is inactive: then it comes with the remedy for that."""
    number = facts.maps.get(MapType.INODE_STORAGE)
    if number == errno.EOPNOTSUPP and facts.lsm_called is False:
        return Feature(INODE_STORAGE, False, True, "refused as long as bpf is not among the active modules")
    return _tried(INODE_STORAGE, number, facts, "CONFIG_BPF_LSM=y")


def _cgroup_binding(facts: Facts) -> Feature:
    if facts.maps.get(MapType.CGRP_STORAGE) == 0:
        return Feature("cgroup storage", True, False, "works")
    return Feature("cgroup storage", False, False, "not there (it came with 6.2): a hash by cgroup id is used")


def _storage_lookups(facts: Facts) -> Feature:
    """Not refused where a note may fail: that is counted, and takes a move at the very moment of another's look-up."""
    if not facts.busy_storage or facts.preemption in ("none", "voluntary"):
        return Feature(STORAGE_LOOKUPS, True, False, "never in one another's way")
    what = "keep others from noting anything on tasks meanwhile: who is moved out of a container just then may get away"
    if facts.preemption == "unknown":
        found = f"where tasks are preempted in the kernel, which is not known, those that are in a look-up {what}"
        return Feature(STORAGE_LOOKUPS, None, False, found)
    found = f"tasks are preempted in the kernel ({facts.preemption}), and those that are in a look-up {what}"
    return Feature(STORAGE_LOOKUPS, False, False, found, "put preempt=voluntary on the kernel command line and reboot")


def _bpf_file_system(facts: Facts) -> Feature:
    name = "bpf file system"
    if facts.bpf_file_systems:
        return Feature(name, True, False, ", ".join(facts.bpf_file_systems))
    found = "not mounted: enforcement could not outlive the agent"
    return Feature(name, False, False, found, "mount -t bpf bpf /sys/fs/bpf")


def _lockdown(facts: Facts) -> Feature:
    if facts.lockdown == "confidentiality":
        found = "confidentiality: programs may not read kernel memory by address"
        return Feature("lockdown", False, False, found, "boot with lockdown=integrity")
    return Feature("lockdown", True, False, facts.lockdown or "none, or not to be read")


def _unprivileged(facts: Facts) -> Feature:
    name = "unprivileged bpf(2)"
    if facts.unprivileged == "0":
        return Feature(name, False, False, "allowed to everyone", "sysctl kernel.unprivileged_bpf_disabled=2")
    return Feature(name, True, False, "refused" if facts.unprivileged else "not to be read")
