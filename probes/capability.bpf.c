// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook      enforces                                                       fails
 * capable   capabilities: the use of one that is held                       open only where no policy set is bound
 *           operations: SetTime (clock_settime, settimeofday, adjtimex, …),
 *           Chroot, SetNamespace (setns), Mount by the newer system calls
 *
 * Runs after the kernel's own check, so only a capability that the process has gets here. A check that asks not to be
 * audited (the kernel tries whether something would be possible) is answered alike, but is nobody's act: no violation.
 *
 * These operations have no hook that all kernels have and that sees all of them, but each asks for its capability
 * before anything is done.
 */
#include "include/operation.h"
#include "include/syscall.h"

#define CAP_OPT_NOAUDIT 2u
#define CAP_SYS_CHROOT 18u
#define CAP_SYS_ADMIN 21u
#define CAP_SYS_TIME 25u

/* The privileged operation that asks for a capability now, or 0. */
static always_inline u32 operation_asking(u32 capability)
{
	u32 number;

	if (capability == CAP_SYS_TIME)
		return OPERATION_SET_TIME;
	if (capability != CAP_SYS_ADMIN && capability != CAP_SYS_CHROOT)
		return 0;
	number = running_syscall();
	if (enters_namespace(number))
		return OPERATION_SET_NAMESPACE;
	if (capability == CAP_SYS_CHROOT)
		return OPERATION_CHROOT;
	return changes_mounts(number) ? OPERATION_MOUNT : 0;
}

/* `r` is room for the report: two answers may be due, and the stack is small. */
static always_inline int answer(struct notice *r, struct ruling *ruling, u64 decision, u32 operation, u32 number)
{
	__builtin_memset(r, 0, sizeof(*r));
	notice_for(r, ruling, decision, operation);
	r->number = number;
	r->object = number;
	REPORT(r);
	return act(decision);
}

PROGRAM(capable)(u64 *ctx)
{
	u32 capability = ctx[2] & (CAPABILITIES - 1), operation = 0; /* the kernel stops where it is another one */
	struct ruling ruling;
	struct policy_set *set = current_set_with(&ruling, SET_HAS_CAPABILITIES | SET_HAS_OPERATIONS);
	struct notice r;
	u64 asked = 0, used;

	if (!set)
		return 0;
	used = set->capabilities[capability];
	if (set->flags & SET_HAS_OPERATIONS)
		operation = operation_asking(capability);
	else if (!used)
		return 0;
	if (operation)
		asked = privileged(set, operation);
	if ((u32)ctx[3] & CAP_OPT_NOAUDIT)
		return blocks(asked) || blocks(used) ? RETURN(-EPERM) : RETURN(0);
	if (asked && answer(&r, &ruling, asked, operation, 0))
		return RETURN(-EPERM);
	return used ? answer(&r, &ruling, used, OPERATION_CAPABILITY, capability) : 0;
}
