// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 enforces                                     fails
 * bprm_check_security  exec: the program, and a script's interpreter closed: an unresolved path is judged by the strictest rule
 *
 * Runs once for the file that was asked for and once for each interpreter that the kernel goes on to.
 */
#include "include/judge.h"
#include "include/provenance.h"

PROGRAM(bprm_check_security)(u64 *ctx)
{
	struct linux_binprm *bprm = (void *)ctx[0];
	struct file *file = FIELD(bprm, file);
	struct ruling ruling;
	struct policy_set *set = find_path_set(&ruling);
	u64 state, decision;
	u32 flags = 0;

	if (!set)
		return 0;
	state = state_of_code(file, ruling.epoch);
	if (state == STATE_SILENT)
		return 0;
	decision = decision_in(state, set, question_of_exec(&ruling, set, state, FIELD(file, f_inode)), &flags);
	if (!decision)
		return 0;
	return act_on_file(&ruling, decision, OPERATION_EXEC, file, flags);
}
