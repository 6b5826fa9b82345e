"""What a map of the kernel is, as data: the row type of `abi.MAPS`.

Values of `MapFlag` are those of include/uapi/linux/bpf.h. Next step: `bulkhead.kernel` creates maps from these rows,
and compares sizes with what is already pinned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum


class MapType(StrEnum):
    """BPF_MAP_TYPE_*, and CGROUP_BINDING, which the kernel's features decide."""

    HASH = "HASH"
    ARRAY = "ARRAY"
    PERCPU_HASH = "PERCPU_HASH"
    PERCPU_ARRAY = "PERCPU_ARRAY"
    LPM_TRIE = "LPM_TRIE"
    CGROUP_STORAGE = "CGROUP_STORAGE"
    RINGBUF = "RINGBUF"
    INODE_STORAGE = "INODE_STORAGE"
    SK_STORAGE = "SK_STORAGE"
    TASK_STORAGE = "TASK_STORAGE"
    CGROUP_BINDING = "CGROUP_BINDING"  # CGRP_STORAGE from kernel 6.2 (key: a descriptor), before it HASH by cgroup id


class MapFlag(IntFlag):
    """BPF_F_* as given when a map is created."""

    NO_PREALLOC = 1 << 0
    MMAPABLE = 1 << 10


@dataclass(frozen=True)
class MapDefinition:
    """One map. `key_bytes` and `value_bytes` are 0 where the type has none; `entries` is 0 where it has no limit.

    `entries` of a RINGBUF is its size in bytes. `identifier` is how programs refer to the map before it exists.
    """

    identifier: int
    name: str
    type: MapType
    key_bytes: int
    value_bytes: int
    entries: int
    flags: MapFlag
