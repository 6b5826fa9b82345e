// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 enforces                              fails
 * file_open            files: Read, Write of what is opened   closed: an unresolved path is judged by the strictest rule
 *                      … and files of cgroups (tampering.h)
 *
 * The verdict is remembered on the inode: the second open costs two storage look-ups, not a walk. A file with several
 * links is judged anew each time, because its names may be judged differently.
 */
#include "include/tampering.h"

#define FMODE_READ 1u
#define FMODE_WRITE 2u
#define FMODE_EXEC 32u
#define O_TRUNC 01000u

static always_inline void remember(struct inode *inode, struct inode_memory *memory, u64 epoch, u64 state)
{
	u32 type = FIELD(inode, i_mode) & S_IFMT;

	if (state >= STATE_NESTED)
		return;
	if (type != S_IFDIR && FIELD(inode, i_nlink) != 1)
		return;
	if (!memory)
		memory = new_memory_of(inode);
	if (!memory)
		return;
	memory->verdict = epoch << 32 | outcome_of(state);
	if (type == S_IFDIR)
		memory->directory = epoch << 32 | state;
}

/* The state that answers for the file: remembered, as a sink with its outcome, or found by its path. */
static always_inline u64 state_of_open(struct file *file, u64 epoch)
{
	struct inode *inode = FIELD(file, f_inode);
	struct inode_memory *memory = memory_of(inode);
	u64 state;

	if (memory) {
		u64 verdict = memory->verdict;

		if (verdict >> 32 == epoch)
			return STATE_SINK | (u32)verdict;
	}
	state = resolve_file(file, epoch);
	remember(inode, memory, epoch, state);
	return state;
}

static always_inline u32 operations_of(struct file *file)
{
	u32 operations = 0;

	if (FIELD(file, f_mode) & FMODE_WRITE || FIELD(file, f_flags) & O_TRUNC)
		operations = 1u << OPERATION_WRITE;
	if (FIELD(file, f_mode) & FMODE_READ || !operations)
		operations |= 1u << OPERATION_READ;
	return operations;
}

/* The decision about an open, and which operation it is about. */
static always_inline u64 decide_open(struct file *file, struct ruling *ruling, u32 *operation, u32 *flags)
{
	struct policy_set *set = current_path_set(ruling);
	u64 state, decision = 0, write = 0;
	u32 operations;

	*operation = OPERATION_READ;
	if (!set || FIELD(file, f_flags) & FMODE_EXEC) /* judged by bprm_check_security */
		return 0;
	state = state_of_open(file, ruling->epoch);
	if (state == (STATE_SINK | OUTCOME_SILENT))
		return 0;
	operations = operations_of(file);
	if (operations & 1u << OPERATION_READ)
		decision = decision_in(state, set, OPERATION_READ, flags);
	if (operations & 1u << OPERATION_WRITE)
		write = decision_in(state, set, OPERATION_WRITE, flags);
	if (verdict_of(write) > verdict_of(decision) || !decision) {
		decision = write;
		*operation = OPERATION_WRITE;
	}
	return decision;
}

PROGRAM(file_open)(u64 *ctx)
{
	struct file *file = (void *)ctx[0];
	struct ruling ruling;
	u32 operation = OPERATION_TAMPERING, flags = 0;
	u64 decision = 0;

	if (FIELD(file, f_mode) & FMODE_WRITE)
		decision = decide_cgroup_file(file, &ruling);
	if (!decision)
		decision = decide_open(file, &ruling, &operation, &flags);
	if (!decision)
		return 0;
	return act_on_file(&ruling, decision, operation, file, flags);
}
