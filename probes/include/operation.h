/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A privileged operation of the running process: the policy set alone decides, whatever the operation is about. What it
 * is about is for the report.
 */
#ifndef BULKHEAD_OPERATION_H
#define BULKHEAD_OPERATION_H

#include "act.h"

/* What an operation is about, as addresses and numbers; all zero where there is nothing to tell. */
struct about {
	u64 dentry;
	u64 mount; /* struct vfsmount */
	u32 number;
};

/* The decision about one of the privileged operations. A constant at each place, so that it is no index to check. */
static always_inline u64 privileged(struct policy_set *set, u32 operation)
{
	u64 index = operation - OPERATION_PRIVILEGED;

	return index < PRIVILEGED_OPERATIONS ? set->operations[index] : 0;
}

static always_inline int act_on_operation(struct ruling *ruling, u64 decision, u32 operation, struct about *about)
{
	struct notice r = {};

	notice_for(&r, ruling, decision, operation);
	r.dentry = about->dentry;
	r.mount = about->mount;
	r.number = about->number;
	r.object = about->dentry ? object_of(about->dentry) : about->number;
	r.flags |= about->dentry && !about->mount ? RECORD_PATH_IN_FILE_SYSTEM : 0;
	REPORT(&r);
	return act(decision);
}

static always_inline int decide_operation(u32 operation, struct about *about)
{
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_OPERATIONS);
	u64 decision;

	if (!set)
		return 0;
	decision = privileged(set, operation);
	return decision ? act_on_operation(&ruling, decision, operation, about) : 0;
}

static always_inline int decide_nameless_operation(u32 operation)
{
	struct about about = {};

	return decide_operation(operation, &about);
}

#endif
