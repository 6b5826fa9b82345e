/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a path is that ends at the root of a file system which no mount of the container leads to: docs/adr/0006. */
#ifndef BULKHEAD_UNANCHORED_H
#define BULKHEAD_UNANCHORED_H

#include "ruling.h"

#define SB_KERNMOUNT (1ul << 22)
#define SB_NOUSER (1ul << 31)

/* s_magic of file systems whose files can be had without a mount: include/uapi/linux/magic.h */
#define HUGETLBFS_MAGIC 0x958458f6u /* memfd_create, shmget */
#define MQUEUE_MAGIC 0x19800202u    /* mq_open */

#define STATE_ELSEWHERE 0xfffffffcu /* not a state: of the node, on a file system that no rule speaks of */

/*
 * Whether the running process acts with credentials that are not its own. Addresses are compared, nothing is followed:
 * for each pointer that is followed out of a task, verifiers search all types of the kernel.
 */
static always_inline int has_borrowed(void)
{
	u64 task = current_task(), own = 0, acting = 0;

	READ(own, struct task_struct, task, real_cred);
	READ(acting, struct task_struct, task, cred);
	return own && acting && own != acting;
}

/*
 * Whether files of this file system can be had that no path leads to: no process can mount it, or there are calls for
 * it. Others that the kernel mounts for itself, such as debugfs, a container can mount as well.
 */
static always_inline int is_nameless(struct super_block *mounted)
{
	u64 flags = FIELD(mounted, s_flags), magic = FIELD(mounted, s_magic);

	if (flags & SB_NOUSER)
		return 1;
	return flags & SB_KERNMOUNT && (magic == HUGETLBFS_MAGIC || magic == MQUEUE_MAGIC);
}

/*
 * No mount of the container leads to this file system. Either it is one that nobody can name, or a file system looks
 * at its own lower layer (with credentials of its own), or it is a mount that user space has not announced yet. Of the
 * node's mounts, which come and go with every pod, it announces those alone that rules speak of.
 */
static always_inline u64 state_without_anchor(struct dentry *root)
{
	if (is_nameless(FIELD(VIEW(dentry, root), d_sb)))
		return STATE_NAMELESS;
	if (has_borrowed())
		return STATE_NESTED;
	if (is_of_node(FIND_CONTAINER()))
		return STATE_ELSEWHERE;
	count(STATISTIC_UNKNOWN_MOUNT);
	return STATE_UNKNOWN;
}

#endif
