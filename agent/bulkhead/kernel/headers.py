"""A kernel header tree for bcc, made from a kernel's own BTF: no header package is needed, and offsets are exactly its.

Only the fields that the probes use are declared, each at its offset by explicit padding, so that no compiler has a
say in where it is. Whole dumps of a kernel's types were tried first and were laid out differently by the compiler (see
docs/adr/0005). bcc insists on a source tree and brings its own bpf.h; the headers it asks for by name are empty. Next
step: `bulkhead.kernel.compiler` points bcc at the tree.
"""

from __future__ import annotations

from pathlib import Path

from bulkhead.errors import KernelUnable
from bulkhead.kernel import kernel_btf
from bulkhead.kernel.kernel_btf import KernelTypes, Member, Type

# What the probes read, by structure. A dot goes into an embedded structure.
FIELDS = {
    "bpf_link": ("id",),
    "bpf_local_storage": ("cache", "list.first"),
    "bpf_local_storage_data": ("smap", "data"),
    "bpf_local_storage_elem": ("snode", "sdata.smap", "sdata.data"),
    "bpf_map": ("id",),
    "bpf_prog": ("aux",),
    "bpf_prog_aux": ("id",),
    "cgroup": ("kn", "nr_descendants", "self.parent"),
    "cgroup_subsys_state": ("cgroup", "parent"),
    "cred": ("uid", "gid"),
    "css_set": ("dfl_cgrp",),
    "dentry": (
        "d_hash.pprev",
        "d_parent",
        "d_inode",
        "d_sb",
        "d_seq.seqcount.sequence",
        "d_name.name",
        "d_name.len",
        "d_name.hash_len",
    ),
    "file": ("f_path.dentry", "f_path.mnt", "f_inode", "f_mode", "f_flags"),
    "fs_struct": ("root.dentry",),
    "hlist_node": ("next",),
    "iattr": ("ia_valid",),
    "inode": ("i_generation", "i_ino", "i_mode", "i_nlink", "i_rdev", "i_sb"),
    "kernfs_node": ("id",),
    "linux_binprm": ("file",),
    "mm_struct": ("exe_file", "arg_start", "arg_end", "saved_auxv"),
    "mount": ("mnt.mnt_root", "mnt_mountpoint", "mnt_parent"),
    "msghdr": ("msg_flags", "msg_name"),
    "new_utsname": ("sysname",),
    "path": ("dentry", "mnt"),
    "proc_inode": ("pid", "vfs_inode"),
    "pt_regs": ("orig_ax",),
    "qstr": ("name",),
    "pid": ("level", "numbers"),
    "sock": (
        "__sk_common.skc_family",
        "__sk_common.skc_dport",
        "__sk_common.skc_daddr",
        "__sk_common.skc_v6_daddr",
        "sk_protocol",
    ),
    "sockaddr_in": ("sin_addr", "sin_port"),
    "sockaddr_in6": ("sin6_addr", "sin6_port"),
    "socket": ("type", "sk"),
    "super_block": ("s_dev", "s_flags", "s_magic", "s_root", "s_time_gran"),
    "task_struct": (
        "cgroups",
        "comm",
        "cred",
        "flags",
        "fs",
        "real_cred",
        "group_leader",
        "mm",
        "personality",
        "real_parent",
        "start_boottime",
        "bpf_storage",
        "parent",
        "ptrace",
        "tgid",
        "thread_pid",
    ),
    "unix_sock": ("path.dentry",),
    "upid": ("nr",),
    "vfsmount": ("mnt_root", "mnt_sb"),
    "vm_area_struct": ("vm_file", "vm_flags", "vm_mm"),
}

# What kernels call differently, under a name of ours: the first that there is.
RENAMED_FIELDS = {
    "inode": {
        "ctime_s": ("i_ctime_sec", "__i_ctime.tv_sec", "i_ctime.tv_sec"),  # Linux 6.11, 6.6, before
        "ctime_ns": ("i_ctime_nsec", "__i_ctime.tv_nsec", "i_ctime.tv_nsec"),
    }
}

# What some kernels lack, and probes use only where it is (probes/include/compat.h).
OPTIONAL_FIELDS = {"cgroup": ("bpf_cgrp_storage",)}

_INTEGERS = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
_BASE = """\
#pragma once
#define CONFIG_BPF_SYSCALL 1
#define PAGE_SIZE 4096
#define NULL ((void *)0)
typedef unsigned char __u8, u8;
typedef signed char __s8, s8;
typedef unsigned short __u16, u16, __be16, __le16, __sum16;
typedef short __s16, s16;
typedef unsigned int __u32, u32, __be32, __le32, __wsum;
typedef int __s32, s32;
typedef unsigned long long __u64, u64, __be64, __le64;
typedef long long __s64, s64;
typedef unsigned long size_t, uintptr_t;
typedef _Bool bool;
#define __aligned_u64 __u64 __attribute__((aligned(8)))
"""
# bcc wants to know a version; nothing of ours asks for it.
_VERSION = """\
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
"""
_EMPTY = (
    "linux/types.h",
    "linux/log2.h",
    "linux/bpf_common.h",
    "uapi/linux/bpf.h",
    "uapi/linux/if_packet.h",
    "asm/page.h",
)

_Tree = dict[str, "_Tree"]


def read_types(btf: Path) -> KernelTypes:
    """The types of the kernel whose BTF is in a file."""
    try:
        return KernelTypes(btf.read_bytes())
    except OSError as error:
        message = f"{btf}: {error.strerror}: this kernel has no BTF (CONFIG_DEBUG_INFO_BTF); nothing was loaded"
        raise KernelUnable(message) from error


def write_headers(types: KernelTypes, tree: Path) -> None:
    """Write the header tree of a kernel to the folder `tree`."""
    include = tree / "include"
    for name in _EMPTY:
        _write(include / name, "")
    _write(include / "linux/kconfig.h", _BASE + declarations(types))
    _write(include / "linux/version.h", _VERSION)


def declarations(types: KernelTypes) -> str:
    """C for every structure of FIELDS, its fields where this kernel has them; TYPE_name is its id in the BTF."""
    forward = "".join(f"struct {name};\n" for name in FIELDS)
    return forward + "".join(_declaration(types, name, fields) for name, fields in FIELDS.items())


def _declaration(types: KernelTypes, name: str, fields: tuple[str, ...]) -> str:
    structure = types.structure(name)
    optional = tuple(field for field in OPTIONAL_FIELDS.get(name, ()) if types.find(structure, field))
    layout = _layout(types, structure, _tree(fields + optional))
    for alias, candidates in RENAMED_FIELDS.get(name, {}).items():
        layout = f"union {{\nstruct {{\n{layout}}};\n{_renamed(types, structure, alias, candidates)}}};\n"
    return f"struct {name} {{\n{layout}}};\n#define TYPE_{name} {types.structure_id(name)}\n"


def _renamed(types: KernelTypes, structure: Type, alias: str, candidates: tuple[str, ...]) -> str:
    """The first candidate that there is, under another name, behind its own padding."""
    for candidate in candidates:
        found = _find_within(types, structure, candidate)
        if found:
            padding = f"char before_{alias}[{found.offset}];"
            field = _field(types, types.strip(found.type_id), alias, {})
            return f"struct {{ {padding} {field} }} __attribute__((packed));\n"
    names = ", ".join(candidates)
    raise KernelUnable(f"this kernel's BTF has none of {names} in struct {structure.name}; nothing was loaded")


def _find_within(types: KernelTypes, structure: Type, path: str) -> Member | None:
    """A field of a field, as if it were the structure's own."""
    found = Member("", 0, 0)
    for word in path.split("."):
        member = types.find(structure, word)
        if member is None:
            return None
        found = Member(word, member.type_id, found.offset + member.offset)
        structure = types.strip(member.type_id)
    return found


def _tree(paths: tuple[str, ...]) -> _Tree:
    tree: _Tree = {}
    for path in paths:
        branch = tree
        for word in path.split("."):
            branch = branch.setdefault(word, {})
    return tree


def _layout(types: KernelTypes, parent: Type, tree: _Tree) -> str:
    """The body of a structure: a union of its fields, each behind its own padding, and one of the whole size."""
    lines = ["union {", f"char size_[{types.size(parent)}];"]
    for name, branch in tree.items():
        member = types.find(parent, name)
        if member is None:
            raise KernelUnable(f"this kernel's BTF has no field {name} in struct {parent.name}; nothing was loaded")
        padding = f"char before_{name}[{member.offset}]; " if member.offset else ""
        field = _field(types, types.strip(member.type_id), name, branch)
        lines.append(f"struct {{ {padding}{field} }} __attribute__((packed));")
    return "\n".join([*lines, "};\n"])


def _field(types: KernelTypes, found: Type, name: str, branch: _Tree) -> str:
    if branch:
        return f"struct {{\n{_layout(types, found, branch)}}} {name};"
    if found.kind == kernel_btf.POINTER:
        target = types.strip(found.size_or_type) if found.size_or_type else None
        known = target and target.kind == kernel_btf.STRUCT and target.name in FIELDS
        return f"struct {target.name} *{name};" if known and target else f"void *{name};"
    size = types.size(found)
    if found.kind in (kernel_btf.INT, kernel_btf.ENUM, kernel_btf.ENUM64) and size in _INTEGERS:
        return f"{_INTEGERS[size]} {name};"
    return f"char {name}[{size}];"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
