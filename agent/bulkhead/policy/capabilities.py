"""Names of capabilities and their numbers, as in include/uapi/linux/capability.h of Linux 5.9 and later."""

from __future__ import annotations

CAPABILITY_NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
PREFIX = "CAP_"

_NUMBERS = {name: number for number, name in enumerate(CAPABILITY_NAMES)}


def capability_number(name: str) -> int | None:
    """The number of a capability, with or without CAP_; None where there is no such capability."""
    return _NUMBERS.get(name.removeprefix(PREFIX))


def capability_name(number: int) -> str:
    """The name of a capability, without CAP_; its number as text where it is newer than this list."""
    return CAPABILITY_NAMES[number] if number < len(CAPABILITY_NAMES) else str(number)
