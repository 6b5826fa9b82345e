/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What no container under a policy may do, whatever its policy and its capabilities: touch what enforces the policies.
 *
 * Refused where the container's policies block anything; told as WOULD_DENY where they are only watched (mode Audit).
 * Containers without a policy are refused nothing, nor is the node, under a policy or not: whoever administers it can take
 * all of this away.
 */
#ifndef BULKHEAD_TAMPERING_H
#define BULKHEAD_TAMPERING_H

#include "act.h"

#define CGROUP2_MAGIC 0x63677270u
#define BPF_FS_MAGIC 0xcafe4a11u
#define CGROUP_LEVELS 32 /* between a cgroup whose file is written and the container's own */
#define PIN_LEVELS 3     /* the folder of pins, one by kind, the pin */

/* The ruling of the running process where it is a container's. */
static always_inline int container_ruling(struct ruling *ruling)
{
	return current_ruling(ruling) && !is_of_node(ruling->container);
}

static always_inline u64 tampering(struct ruling *ruling, u32 rule)
{
	struct policy_set *set = set_of(ruling);
	u64 verdict = set && set->flags & SET_MAY_BLOCK ? VERDICT_DENY : VERDICT_WOULD_DENY;

	return verdict | (u64)rule << DECISION_RULE_SHIFT;
}

/* Report an act on something without a path and say whether it is refused. `object` is equal for equal objects. */
static always_inline int refuse(struct ruling *ruling, u32 rule, u64 object)
{
	u64 decision = tampering(ruling, rule);
	struct notice r = {};

	notice_for(&r, ruling, decision, OPERATION_TAMPERING);
	r.object = object;
	REPORT(&r);
	return act(decision);
}

/* The same for something that has a path. */
static always_inline int refuse_path(struct ruling *ruling, u32 rule, struct dentry *dentry)
{
	return act_on_path(ruling, tampering(ruling, rule), OPERATION_TAMPERING, address_of(dentry), 0, 0);
}

static always_inline struct guard *guard(void)
{
	u32 zero = 0;

	return map_lookup(MAP(guard), &zero);
}

static always_inline int is_of(struct dentry *dentry, u64 magic)
{
	return FIELD(FIELD(dentry, d_sb), s_magic) == magic;
}

/* Whether a dentry is one of the folders and pins of ours. Another bpffs is another device. */
static always_inline int is_pin(struct dentry *dentry)
{
	struct guard *ours = guard();
	int level;

	if (!ours || FIELD(FIELD(dentry, d_sb), s_dev) != ours->pins_device)
		return 0;
#pragma unroll
	for (level = 0; level < PIN_LEVELS; level++) {
		struct inode *inode = FIELD(dentry, d_inode);

		if (exists(dentry) && inode && FIELD(inode, i_ino) == ours->pins) /* see state_of_links() */
			return 1;
		dentry = FIELD(dentry, d_parent);
	}
	return 0;
}

/* For hooks that take a name away or put it elsewhere: 0, or -EPERM where it is a pin of ours. */
static always_inline int keep_pin(struct dentry *dentry)
{
	struct ruling ruling;

	if (!is_of(dentry, BPF_FS_MAGIC) || !is_pin(dentry) || !container_ruling(&ruling))
		return 0;
	return refuse_path(&ruling, BUILT_IN_PINS, dentry);
}

/* Whether a file of a cgroup belongs to the container's own or to one below it. */
static always_inline int is_at_home(struct dentry *dentry, u32 container)
{
	u64 *home = map_lookup(MAP(homes), &container);
	int level;

	for (level = 0; home && level < CGROUP_LEVELS; level++) {
		struct dentry *parent = FIELD(dentry, d_parent);

		if (parent == dentry)
			return 0;
		if (FIELD(FIELD(parent, d_inode), i_ino) == *home)
			return 1;
		dentry = parent;
	}
	return 0;
}

/* About a file that is opened for writing: whether it controls a cgroup that is not the container's. 0 where not. */
static always_inline u64 decide_cgroup_file(struct file *file, struct ruling *ruling)
{
	struct dentry *dentry = FIELD(file, f_path.dentry);

	if (!is_of(dentry, CGROUP2_MAGIC) || !container_ruling(ruling) || is_at_home(dentry, ruling->container))
		return 0;
	return tampering(ruling, BUILT_IN_CGROUPS);
}

#endif
