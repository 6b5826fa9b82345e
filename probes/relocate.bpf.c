// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook           enforces                                                                fails
 * inode_link     a new name is a creation, and is judged as strictly as the old one        closed
 * inode_rename   the same; a directory keeps the meaning of everything below it            closed
 *
 * What inodes remember would be wrong if an object could move to where it is judged differently: such a move is
 * refused. A directory may move where the automaton's state is the same: it is minimal, so equal states mean equal
 * answers for everything below; otherwise EXDEV, on which mv(1) copies. A set that never blocks refuses nothing.
 */
#include "include/act.h"

struct move {
	struct dentry *from;
	struct dentry *to;
	u32 operation;
};

/* The decision to name where one state blocks an operation that the other does not; 0 where there is none. */
static always_inline u64 difference(struct outcome *from, struct outcome *to)
{
	if (from->blocked == to->blocked)
		return 0;
	return from->blocked & ~to->blocked ? from->strictest : to->strictest;
}

static always_inline void forget(struct dentry *dentry)
{
	struct inode_memory *memory = memory_of(FIELD(dentry, d_inode));

	if (!memory)
		return;
	memory->verdict = 0;
	memory->directory = 0;
}

static always_inline int decide_move(struct move *m)
{
	struct ruling ruling;
	struct policy_set *set;
	struct outcome *target;
	struct inode *inode;
	u64 from, to, decision;
	u32 flags = 0;

	forget(m->from);
	set = current_path_set(&ruling);
	if (!set)
		return 0;
	from = resolve(m->from, ruling.epoch);
	to = resolve(m->to, ruling.epoch);
	target = outcome_in(to, set);
	decision = target->decisions[OPERATION_CREATE];
	if (blocks(decision))
		return act_on_path(&ruling, decision, OPERATION_CREATE, address_of(m->to), 0, flags);
	if (!(set->flags & SET_MAY_BLOCK) || from == to)
		return 0;
	decision = difference(outcome_in(from, set), target);
	if (decision)
		return act_on_path(&ruling, decision, m->operation, address_of(m->from), 0, flags);
	inode = FIELD(m->from, d_inode);
	if (inode && (FIELD(inode, i_mode) & S_IFMT) == S_IFDIR)
		return RETURN(-EXDEV);
	return 0;
}

PROGRAM(inode_link)(u64 *ctx)
{
	struct move m = { .from = (void *)ctx[0], .to = (void *)ctx[2], .operation = OPERATION_LINK };

	return decide_move(&m);
}

PROGRAM(inode_rename)(u64 *ctx)
{
	struct move m = { .from = (void *)ctx[1], .to = (void *)ctx[3], .operation = OPERATION_RENAME };

	return decide_move(&m);
}
