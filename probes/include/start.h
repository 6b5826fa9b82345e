/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether the running process is of a container that no agent has told of: below the kubelet's cgroup, in none that is
 * known, and past the runtime's own preparations.
 *
 * A runtime joins a container's cgroup first and executes itself there, with the node's root; it changes to the
 * container's root last. So whoever has the runtime's root is the runtime.
 */
#ifndef BULKHEAD_START_H
#define BULKHEAD_START_H

#include "path.h"

#define START_LEVELS 32 /* between a process's cgroup and its container's own: a container that has these is known */

/* What is asked for, or null where nobody asks. */
static always_inline struct start_rule *asked_start(void)
{
	u32 zero = 0;
	struct start_rule *start = map_lookup(MAP(start_rule), &zero);

	return start && start->below ? start : 0;
}

static always_inline struct cgroup *cgroup_of_current(void)
{
	return cgroup_of(current_task_struct());
}

static always_inline struct cgroup *parent_of(struct cgroup *cgroup)
{
	struct cgroup_subsys_state *parent = FIELD(cgroup, self.parent);

	return parent ? FIELD(parent, cgroup) : 0;
}

static always_inline int is_unknown(struct start_rule *start, struct cgroup *cgroup)
{
	int level;

	cgroup = VIEW(cgroup, cgroup);
	for (level = 0; cgroup && level < START_LEVELS; level++) {
		u64 id = FIELD(FIELD(cgroup, kn), id);

		if (id == start->below)
			return 1;
		if (map_lookup(MAP(known), &id))
			return 0;
		cgroup = parent_of(cgroup);
	}
	return 0;
}

static always_inline int has_root_of_runtime(struct start_rule *start)
{
	struct fs_struct *fs = FIELD(current_task_struct(), fs);
	struct dentry *root = fs ? FIELD(fs, root.dentry) : 0;
	struct inode *inode = root ? FIELD(root, d_inode) : 0;

	return inode && start->root && anchor_of(root, memory_of(inode)) == start->root;
}

/* The sandbox is made first, and is there as long as the pod is: whatever is alone in its pod's cgroup is the sandbox. */
static always_inline int is_sandbox(struct start_rule *start, struct cgroup *cgroup)
{
	struct cgroup *pod = parent_of(VIEW(cgroup, cgroup));

	return start->sandboxes && pod && FIELD(pod, nr_descendants) == 1;
}

static always_inline int has_lapsed(struct start_rule *start)
{
	return start->lapse_ns && boot_time_ns() - start->sign_ns > start->lapse_ns;
}

/* Whether a directory is the agent's folder of state. */
static always_inline int is_state(struct start_rule *start, struct dentry *dentry)
{
	struct inode *inode = FIELD(VIEW(dentry, dentry), d_inode);

	return inode && FIELD(inode, i_ino) == start->state &&
	       FIELD(FIELD(VIEW(dentry, dentry), d_sb), s_dev) == start->state_device;
}

/* From now on a cgroup is known, and all below it. */
static always_inline long make_known(struct cgroup *cgroup, u32 why)
{
	u64 id = FIELD(FIELD(VIEW(cgroup, cgroup), kn), id);

	return map_update(MAP(known), &id, &why, 0);
}

#endif
