// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 enforces                                     fails
 * bprm_check_security  exec: the program, and a script's interpreter closed: an unresolved path is judged by the strictest rule
 *
 * Runs once for the file that was asked for and once for each interpreter that the kernel goes on to.
 */
#include "include/act.h"

PROGRAM(bprm_check_security)(u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	struct file *file = FIELD(bprm, file);
	struct ruling ruling;
	struct policy_set *set;
	u64 state, decision, dentry = 0, mount = 0;
	u32 flags = 0;

	if (!current_ruling(&ruling))
		return 0;
	set = set_of(&ruling);
	if (!set || !(set->flags & SET_HAS_PATHS))
		return 0;
	state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), ruling.epoch);
	if (state == STATE_UNKNOWN) /* perhaps a rename got in between: once more */
		state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), ruling.epoch);
	decision = decision_in(state, set, OPERATION_EXEC, &flags);
	if (!decision)
		return 0;
	READ(dentry, struct file, address_of(file), f_path.dentry);
	READ(mount, struct file, address_of(file), f_path.mnt);
	return act_on_path(&ruling, decision, OPERATION_EXEC, dentry, mount, flags);
}
