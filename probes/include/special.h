/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files that are not data: raw devices, the memory of processes, settings of the kernel. Known by what they are (their
 * inode and the kind of their file system), not by a path, so that another mount of the same or a node made elsewhere
 * is no way round.
 */
#ifndef BULKHEAD_SPECIAL_H
#define BULKHEAD_SPECIAL_H

#include "operation.h"

#define FMODE_WRITE 2u
#define S_IFCHR 0020000u
#define S_IFBLK 0060000u
#define MINOR_BITS 20u /* of the kernel's dev_t */
#define MEMORY_MAJOR 1u
#define SCSI_GENERIC_MAJOR 21u
#define MTD_MAJOR 90u /* flash memory */
#define MISC_MAJOR 10u
#define MINOR_MEM 1u
#define MINOR_KMEM 2u
#define MINOR_PORT 4u
#define MINOR_SNAPSHOT 231u /* all memory, for suspending to disk */

/* s_magic of file systems whose files are settings: include/uapi/linux/magic.h */
#define PROC_MAGIC 0x9fa0u
#define CGROUP1_MAGIC 0x27e0ebu
#define SYSFS_MAGIC 0x62656572u
#define CONFIGFS_MAGIC 0x62656570u
#define DEBUGFS_MAGIC 0x64626720u
#define TRACEFS_MAGIC 0x74726163u
#define SECURITYFS_MAGIC 0x73636673u
#define BINFMT_MISC_MAGIC 0x42494e4du
#define EFIVARFS_MAGIC 0xde5e81e4u
#define SELINUXFS_MAGIC 0xf97cff8cu
#define SMACKFS_MAGIC 0x43415d53u

/* The first 8 bytes of a name, as a number that can be compared. `text` has 8 characters, NULs included. */
#define NAME(text) (*(const u64 *)(text))

/* The first 8 bytes of a file's own name; there is room for as many behind a shorter one. 0, or an error. */
static always_inline long read_name(u64 *name, struct file *file)
{
	u64 dentry = 0, text = 0;

	READ(dentry, struct file, address_of(file), f_path.dentry);
	READ(text, struct dentry, dentry, d_name.name);
	return read_kernel(name, sizeof(*name), text);
}

/* Whether two names have their first `bytes` bytes (8 at most) in common. */
static always_inline int begin_alike(u64 one, u64 other, u32 bytes)
{
	return (one ^ other) << (8 - bytes) * 8 == 0;
}

/* The process that a file of /proc is about, as the address of its struct pid; 0 where none. */
static always_inline u64 described_process(struct inode *inode)
{
	u64 entry = address_of(inode) - __builtin_offsetof(struct proc_inode, vfs_inode), process = 0;

	READ(process, struct proc_inode, entry, pid);
	return process;
}

/* The operation that opening or making a device node is, or 0. `device` is the kernel's dev_t. */
static always_inline u32 device_operation(u32 mode, u32 device)
{
	u32 major = device >> MINOR_BITS, minor = device & ((1u << MINOR_BITS) - 1);

	if ((mode & S_IFMT) == S_IFBLK)
		return OPERATION_RAW_DEVICE;
	if ((mode & S_IFMT) != S_IFCHR)
		return 0;
	if (major == MEMORY_MAJOR)
		return minor == MINOR_MEM || minor == MINOR_KMEM || minor == MINOR_PORT ? OPERATION_RAW_DEVICE : 0;
	if (major == MISC_MAJOR)
		return minor == MINOR_SNAPSHOT ? OPERATION_RAW_DEVICE : 0;
	return major == SCSI_GENERIC_MAJOR || major == MTD_MAJOR ? OPERATION_RAW_DEVICE : 0;
}

/* Whether the first `bytes` bytes of a file's own name are those of `name`. Those of an unreadable one are. */
static always_inline int is_called(struct file *file, u64 name, u32 bytes)
{
	u64 read = 0;

	return read_name(&read, file) || begin_alike(read, name, bytes);
}

/* Whether a file of /proc that belongs to no process is the memory of the kernel, this one's or the one's that crashed. */
static always_inline int is_kernel_memory(struct file *file)
{
	return is_called(file, NAME("kcore\0\0\0"), 6) || is_called(file, NAME("vmcore\0\0"), 7);
}

/* /proc: what belongs to a process is its own, save its memory; all else are settings, save the kernel's memory. */
static always_inline u32 proc_operation(struct file *file, struct inode *inode, u32 writes)
{
	if (described_process(inode))
		return is_called(file, NAME("mem\0\0\0\0"), 4) ? OPERATION_PROC_MEM : 0;
	if (is_kernel_memory(file))
		return OPERATION_RAW_DEVICE;
	return writes ? OPERATION_KERNEL_SETTINGS : 0;
}

static always_inline int holds_settings(u64 magic)
{
	return magic == SYSFS_MAGIC || magic == CONFIGFS_MAGIC || magic == DEBUGFS_MAGIC || magic == TRACEFS_MAGIC ||
	       magic == SECURITYFS_MAGIC || magic == BINFMT_MISC_MAGIC || magic == EFIVARFS_MAGIC ||
	       magic == SELINUXFS_MAGIC || magic == SMACKFS_MAGIC;
}

/* The privileged operation that opening a file is, or 0. */
static always_inline u32 special_operation(struct file *file, u32 writes)
{
	struct inode *inode = FIELD(file, f_inode);
	u64 magic = FIELD(FIELD(VIEW(inode, inode), i_sb), s_magic);
	u32 mode = FIELD(inode, i_mode);

	if ((mode & S_IFMT) == S_IFBLK || (mode & S_IFMT) == S_IFCHR)
		return device_operation(mode, FIELD(inode, i_rdev));
	if (magic == PROC_MAGIC)
		return proc_operation(file, inode, writes);
	if (!writes)
		return 0;
	if (magic == CGROUP1_MAGIC)
		return is_called(file, NAME("release_"), 8) ? OPERATION_KERNEL_SETTINGS : 0;
	return holds_settings(magic) ? OPERATION_KERNEL_SETTINGS : 0;
}

/* The same for a device node that is about to be made. */
static always_inline int make_special(struct dentry *dentry, u32 mode, u32 device)
{
	u32 operation = device_operation(mode, device);
	struct about about = { .dentry = address_of(dentry) };

	return operation ? decide_operation(operation, &about) : 0;
}

/* 0, or -EPERM where the file is special and the set refuses the operation. */
static always_inline int open_special(struct ruling *ruling, struct policy_set *set, struct file *file)
{
	u32 writes = FIELD(file, f_mode) & FMODE_WRITE;
	u32 operation = special_operation(file, writes);
	u64 decision = operation ? privileged(set, operation) : 0;
	struct about about = {};

	if (!decision)
		return 0;
	READ(about.dentry, struct file, address_of(file), f_path.dentry);
	READ(about.mount, struct file, address_of(file), f_path.mnt);
	return act_on_operation(ruling, decision, operation, &about);
}

#endif
