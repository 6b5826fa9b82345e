/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a decision to what the hook returns, reported on the way. For LSM programs, which may send signals. */
#ifndef BULKHEAD_ACT_H
#define BULKHEAD_ACT_H

#include "report.h"
#include "subject.h"

/* 0 or -EPERM. A process that is to be killed is sent the signal here, before the act; the act is denied too. */
static always_inline int act(u64 decision)
{
	if (verdict_of(decision) == VERDICT_KILL && send_signal(SIGKILL))
		count(STATISTIC_SIGNAL_FAILED);
	if (blocks(decision))
		return RETURN(-EPERM);
	return RETURN(0);
}

/* Report and act on a path decision. `mount` is a vfsmount's address, or 0 where the hook has none. */
static always_inline int act_on_path(struct ruling *ruling, u64 decision, u32 operation, u64 dentry, u64 mount,
                                     u32 flags)
{
	struct notice r = {};

	notice_for(&r, ruling, decision, operation);
	r.dentry = dentry;
	r.mount = mount;
	r.object = object_of(dentry);
	r.flags |= flags | (mount ? 0 : RECORD_PATH_IN_FILE_SYSTEM);
	REPORT(&r);
	return act(decision);
}

/* The same for a file that a hook was given. */
static always_inline int act_on_file(struct ruling *ruling, u64 decision, u32 operation, struct file *file, u32 flags)
{
	u64 address = address_of(file), dentry = 0, mount = 0;

	READ(dentry, struct file, address, f_path.dentry);
	READ(mount, struct file, address, f_path.mnt);
	return act_on_path(ruling, decision, operation, dentry, mount, flags);
}

#endif
