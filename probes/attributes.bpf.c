// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                enforces                                                                 fails
 * inode_setattr       files: Write where the size is set (truncate, ftruncate), else Attributes  closed: an unresolved
 *                     (mode, owner, times)                                                       path is judged by the
 * inode_setxattr      Attributes: extended attributes, before Linux 6.2 also access lists       strictest rule
 * inode_removexattr   the same
 * inode_set_acl       Attributes: access lists (where the kernel has the hook)
 * inode_remove_acl    the same
 * inode_file_setattr  Attributes: file_setattr(2) (where the kernel has the hook)
 * file_ioctl          Attributes: the requests that set flags, project, version or verity of a file
 * file_ioctl_compat   the same, of 32-bit programs
 *
 * What the kernel itself does in passing is not judged: the end of set-user-id when a file is written, and the
 * truncation of an open that was judged as such.
 */
#include "include/judge.h"

#define ATTR_SIZE (1u << 3)
#define ATTR_FORCE (1u << 9)
#define ATTR_OPEN (1u << 15)

/* Numbers of requests, include/uapi/linux/fs.h, ext4.h and msdos_fs.h; 64-bit programs and 32-bit ones. */
#define FS_IOC_SETFLAGS 0x40086602u
#define FS_IOC32_SETFLAGS 0x40046602u
#define FS_IOC_SETVERSION 0x40087602u
#define FS_IOC32_SETVERSION 0x40047602u
#define EXT4_IOC_SETVERSION 0x40086604u
#define EXT4_IOC32_SETVERSION 0x40046604u
#define FS_IOC_FSSETXATTR 0x401c5820u
#define FS_IOC_ENABLE_VERITY 0x40806685u
#define FS_IOC_SET_ENCRYPTION_POLICY 0x800c6613u
#define FAT_IOCTL_SET_ATTRIBUTES 0x40047211u

static always_inline int decide(struct dentry *dentry, u32 operation)
{
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_PATHS);

	if (!set)
		return 0;
	return judge_name(&ruling, set, state_of_leaving(dentry, ruling.epoch), operation, dentry);
}

PROGRAM(inode_setattr)(u64 *ctx)
{
	struct iattr *attributes = (void *)ctx[SETATTR_DENTRY + 1];
	u32 given = FIELD(attributes, ia_valid);
	u32 passing = given & ATTR_SIZE ? ATTR_OPEN : ATTR_FORCE;

	if (given & passing)
		return RETURN(0);
	return decide((void *)ctx[SETATTR_DENTRY], given & ATTR_SIZE ? OPERATION_WRITE : OPERATION_ATTRIBUTES);
}

PROGRAM(inode_setxattr)(u64 *ctx)
{
	return decide((void *)ctx[1], OPERATION_ATTRIBUTES);
}

PROGRAM(inode_removexattr)(u64 *ctx)
{
	return decide((void *)ctx[1], OPERATION_ATTRIBUTES);
}

PROGRAM(inode_set_acl)(u64 *ctx)
{
	return decide((void *)ctx[1], OPERATION_ATTRIBUTES);
}

PROGRAM(inode_remove_acl)(u64 *ctx)
{
	return decide((void *)ctx[1], OPERATION_ATTRIBUTES);
}

PROGRAM(inode_file_setattr)(u64 *ctx)
{
	return decide((void *)ctx[0], OPERATION_ATTRIBUTES);
}

static always_inline int sets_attributes(u32 request)
{
	switch (request) {
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_SETVERSION:
	case FS_IOC32_SETVERSION:
	case EXT4_IOC_SETVERSION:
	case EXT4_IOC32_SETVERSION:
	case FS_IOC_FSSETXATTR:
	case FS_IOC_ENABLE_VERITY:
	case FS_IOC_SET_ENCRYPTION_POLICY:
	case FAT_IOCTL_SET_ATTRIBUTES:
		return 1;
	}
	return 0;
}

static always_inline int decide_request(struct file *file, u32 request)
{
	struct ruling ruling;
	struct policy_set *set;

	if (!sets_attributes(request))
		return 0;
	set = find_set_with(&ruling, SET_HAS_PATHS);
	if (!set)
		return 0;
	return judge_file(&ruling, set, state_of_file(file, ruling.epoch), OPERATION_ATTRIBUTES, file);
}

PROGRAM(file_ioctl)(u64 *ctx)
{
	return decide_request((void *)ctx[0], ctx[1]);
}

PROGRAM(file_ioctl_compat)(u64 *ctx)
{
	return decide_request((void *)ctx[0], ctx[1]);
}
