// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook          enforces                    fails
 * inode_unlink  files: Delete of a name      closed: an unresolved path is judged by the strictest rule
 * inode_rmdir   … of a directory
 */
#include "include/judge.h"

static always_inline int decide_remove(struct dentry *dentry)
{
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_PATHS);

	if (!set)
		return 0;
	return judge_name(&ruling, set, state_of_leaving(dentry, ruling.epoch), OPERATION_DELETE, dentry);
}

PROGRAM(inode_unlink)(u64 *ctx)
{
	struct dentry *dentry = (void *)ctx[1];
	struct inode *inode = FIELD(dentry, d_inode);
	struct inode_memory *memory;

	if (inode && FIELD(inode, i_nlink) > 1) { /* what is remembered may be of this name, and another one stays */
		memory = memory_of(inode);
		if (memory)
			forget(memory);
	}
	return decide_remove(dentry);
}

PROGRAM(inode_rmdir)(u64 *ctx)
{
	return decide_remove((void *)ctx[1]);
}
