// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook            enforces                                 fails
 * inode_create    files: Create of a file, before it is     closed: an unresolved path is judged by the strictest rule
 * inode_mkdir     … of a directory
 * inode_mknod     … of a device, pipe or socket; operations: RawDevice
 * inode_symlink   … of a symbolic link
 *
 * The dentry is negative: its path is its parent's and its name.
 */
#include "include/judge.h"
#include "include/special.h"

static always_inline int decide_create(struct dentry *dentry)
{
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_PATHS);

	if (!set)
		return 0;
	return judge_name(&ruling, set, resolve(dentry, ruling.epoch), OPERATION_CREATE, dentry);
}

PROGRAM(inode_create)(u64 *ctx)
{
	return decide_create((void *)ctx[1]);
}

PROGRAM(inode_mkdir)(u64 *ctx)
{
	return decide_create((void *)ctx[1]);
}

PROGRAM(inode_mknod)(u64 *ctx)
{
	if (make_special((void *)ctx[1], ctx[2], ctx[3]))
		return RETURN(-EPERM);
	return decide_create((void *)ctx[1]);
}

PROGRAM(inode_symlink)(u64 *ctx)
{
	return decide_create((void *)ctx[1]);
}
