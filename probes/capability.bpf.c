// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook      enforces                                    fails
 * capable   capabilities: the use of one that is held    open only where no policy set is bound
 *
 * Runs after the kernel's own check, so only a capability that the process has gets here. A check that asks not to be
 * audited (the kernel tries whether something would be possible) is answered alike, but is nobody's act: no violation.
 */
#include "include/act.h"

#define CAP_OPT_NOAUDIT 2u

static always_inline void report_capability(struct ruling *ruling, u64 decision, u32 capability)
{
	struct notice r = {};

	notice_for(&r, ruling, decision, OPERATION_CAPABILITY);
	r.number = capability;
	r.object = capability;
	REPORT(&r);
}

PROGRAM(capable)(u64 *ctx)
{
	u32 capability = ctx[2];
	u32 options = ctx[3];
	struct ruling ruling;
	struct policy_set *set;
	u64 decision;

	if (!current_ruling(&ruling))
		return 0;
	set = current_set(&ruling);
	if (!set || capability >= CAPABILITIES)
		return 0;
	decision = set->capabilities[capability];
	if (!decision)
		return 0;
	if (options & CAP_OPT_NOAUDIT)
		return blocks(decision) ? RETURN(-EPERM) : RETURN(0);
	report_capability(&ruling, decision, capability);
	return act(decision);
}
