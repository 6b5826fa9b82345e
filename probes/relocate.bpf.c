// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook           enforces                                                              fails
 * inode_link     files: Link of the old name, Create of the new one                      closed
 * inode_rename   Rename of the old name, Create of the new one, Delete of what had it;   closed
 *                an exchange is two renames, each of them over the other name: the hook is called twice; where
 *                programs are on security_inode_rename, inode_exchange is the second
 *
 * What inodes remember would be wrong if an object could move to where it is judged differently: such a move is
 * refused, too. A directory may move where the automaton's state is the same: it is minimal, so equal states mean equal
 * answers for everything below; otherwise EXDEV, on which mv(1) copies. A set that never blocks refuses nothing.
 */
#include "include/judge.h"

#define RENAME_EXCHANGE 2u

struct move {
	struct dentry *from;
	struct dentry *to;
	u64 from_state;
	u64 to_state;
	u32 operation;
};

/* The decision to name where one state blocks an operation that the other does not; 0 where there is none. */
static always_inline u64 difference(struct outcome *from, struct outcome *to)
{
	if (from->blocked == to->blocked)
		return 0;
	return from->blocked & ~to->blocked ? from->strictest : to->strictest;
}

static always_inline int is_directory(struct inode *inode)
{
	return inode && (FIELD(inode, i_mode) & S_IFMT) == S_IFDIR;
}

/* What the policy says about the two names. */
static always_inline int judge_names(struct move *m, struct ruling *ruling, struct policy_set *set)
{
	int refused = judge_name(ruling, set, m->from_state, m->operation, m->from);

	if (!refused && exists(m->to))
		refused = judge_name(ruling, set, m->to_state, OPERATION_DELETE, m->to);
	if (!refused)
		refused = judge_name(ruling, set, m->to_state, OPERATION_CREATE, m->to);
	return refused;
}

/* Whether what moves would be judged otherwise afterwards. */
static always_inline int judge_difference(struct move *m, struct ruling *ruling, struct policy_set *set)
{
	u64 decision;

	if (!(set->flags & SET_MAY_BLOCK) || m->from_state == m->to_state)
		return 0;
	decision = difference(outcome_in(m->from_state, set), outcome_in(m->to_state, set));
	if (decision)
		return act_on_path(ruling, decision, m->operation, address_of(m->from), 0, 0);
	if (is_directory(FIELD(m->from, d_inode)))
		return RETURN(-EXDEV);
	return 0;
}

/* Whether everything that is remembered below a directory stays true for whoever remembers it. */
static always_inline int keeps_meaning(struct inode_memory *memory, u64 epoch)
{
	u64 first = memory->directories[0] >> 32, second = memory->directories[1] >> 32;

	if (memory->moves != moves_now())
		return 1;
	return first == epoch && (!second || second == epoch);
}

/* The move is let through. `epoch` is that of a ruling for which it changes nothing, or 0. */
static always_inline void forget_moved(struct dentry *dentry, u64 epoch)
{
	struct inode *inode = FIELD(dentry, d_inode);
	struct inode_memory *memory = memory_of(inode);

	if (!memory)
		return;
	if (!is_directory(inode))
		forget(memory);
	else if (!keeps_meaning(memory, epoch))
		forget_everything();
}

static always_inline int decide_move(struct move *m)
{
	struct ruling ruling;
	struct policy_set *set = find_set_with(&ruling, SET_HAS_PATHS);
	u64 epoch = 0;
	int refused, is_kept;

	if (set) {
		m->from_state = resolve(m->from, ruling.epoch);
		m->to_state = RESOLVE_DENTRY(m->to, ruling.epoch);
		if (is_passing(m->to_state)) /* what is remembered below the one is to be below what is remembered */
			m->to_state = RESOLVE_DENTRY(m->to, ruling.epoch);
		is_kept = !is_passing(m->to_state);
		m->to_state = settled(m->to_state);
		refused = judge_names(m, &ruling, set);
		if (!refused)
			refused = judge_difference(m, &ruling, set);
		if (refused)
			return refused;
		if (m->from_state == m->to_state && is_kept)
			epoch = ruling.epoch;
	}
	forget_moved(m->from, epoch);
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

PROGRAM(inode_exchange)(u64 *ctx)
{
	struct move m = { .from = (void *)ctx[3], .to = (void *)ctx[1], .operation = OPERATION_RENAME };

	return ctx[4] & RENAME_EXCHANGE ? decide_move(&m) : 0;
}
