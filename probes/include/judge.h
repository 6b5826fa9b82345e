/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a file or a name to what is done about an operation on it. What exists is answered from memory where it can be.
 *
 * A file with several links remembers nothing, because its names may be judged differently.
 */
#ifndef BULKHEAD_JUDGE_H
#define BULKHEAD_JUDGE_H

#include "act.h"

/* What an inode remembers of one epoch: a sink with its outcome, or STATE_UNKNOWN. */
static always_inline u64 remembered(struct inode_memory *memory, u64 epoch, u64 moves)
{
	u64 verdict = memory ? recall(memory, memory->verdicts, epoch, moves) : 0;

	return verdict ? STATE_SINK | (u32)verdict : STATE_UNKNOWN;
}

static always_inline void remember(struct inode *inode, struct inode_memory *memory, u64 epoch, u64 moves, u64 state)
{
	u32 type = FIELD(inode, i_mode) & S_IFMT;

	if (state >= STATE_ELSEWHERE)
		return;
	if (type != S_IFDIR && FIELD(inode, i_nlink) != 1)
		return;
	if ((!memory && !seen_before(inode)) || is_passing(state))
		return;
	if (!memory)
		memory = new_memory_of(inode);
	if (!memory)
		return;
	note(memory, memory->verdicts, epoch << 32 | outcome_of(state), moves);
	if (type == S_IFDIR)
		note(memory, memory->directories, epoch << 32 | state, moves);
}

/* The state that answers for an open file. */
static always_inline u64 state_of_file(struct file *file, u64 epoch)
{
	struct inode *inode = FIELD(file, f_inode);
	struct inode_memory *memory = memory_of(inode);
	u64 moves = moves_now();
	u64 state = remembered(memory, epoch, moves);

	if (state != STATE_UNKNOWN)
		return state;
	if (FIELD(FIELD(VIEW(file, file), f_path.dentry), d_inode) !=
	    inode) /* an overlay's layer, under the overlay's path */
		return STATE_NESTED;
	state = resolve_open(file, epoch, memory ? 0 : REMEMBERS_NOTHING);
	remember(inode, memory, epoch, moves, state);
	return settled(state);
}

/*
 * The same of a file that is executed or mapped: it was opened before, and what is to be remembered was noted then. Only
 * where there is one name, and it is the file's own: an overlay's layer is found by the overlay's path.
 */
static always_inline u64 state_of_code(struct file *file, u64 epoch)
{
	struct inode *inode = FIELD(file, f_inode);
	u64 state = STATE_UNKNOWN;

	if (FIELD(inode, i_nlink) == 1 && FIELD(FIELD(VIEW(file, file), f_path.dentry), d_inode) == inode)
		state = remembered(memory_of(inode), epoch, moves_now());
	return state == STATE_UNKNOWN ? resolve_file(file, epoch, 0) : state;
}

/* The state that answers for what has a name and is about to go: nothing is noted on it. */
static always_inline u64 state_of_leaving(struct dentry *dentry, u64 epoch)
{
	u64 state = remembered(memory_of(FIELD(dentry, d_inode)), epoch, moves_now());

	return state == STATE_UNKNOWN ? resolve(dentry, epoch) : state;
}

/* Report and act on one operation on what has the name, or is about to get it. */
static always_inline int judge_name(struct ruling *ruling, struct policy_set *set, u64 state, u32 operation,
                                    struct dentry *dentry)
{
	u32 flags = 0;
	u64 decision = decision_in(state, set, operation, &flags);

	if (!decision)
		return 0;
	return act_on_path(ruling, decision, operation, address_of(dentry), 0, flags);
}

/* The same of an open file. */
static always_inline int judge_file(struct ruling *ruling, struct policy_set *set, u64 state, u32 operation,
                                    struct file *file)
{
	u32 flags = 0;
	u64 decision = decision_in(state, set, operation, &flags);

	if (!decision)
		return 0;
	return act_on_file(ruling, decision, operation, file, flags);
}

#endif
