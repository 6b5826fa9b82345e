// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * hook                 enforces                                                       fails
 * unix_stream_connect  files: Write of a unix socket that is connected to by its path   closed: an unresolved path is judged
 *                                                                                       by the strictest rule
 * unix_may_send        … that datagrams are sent to, each of them
 *
 * The path is the one that the socket was bound to, under the names that the file has now. The kernel holds the other
 * socket's lock and has seen that it is open, so that the path stays as long as the hook runs. A file that lost the name
 * it was bound to and has others is not found by it.
 */
#include "include/judge.h"

/* Whether a name is gone that was not its file's only one. */
static always_inline int was_one_of_several(struct dentry *dentry, struct inode *inode)
{
	return !address_of(FIELD(dentry, d_hash.pprev)) && FIELD(inode, i_nlink);
}

static always_inline u64 state_of_socket(struct dentry *dentry, u64 epoch)
{
	struct inode *inode = FIELD(dentry, d_inode);
	u64 state, moves = moves_now();
	struct inode_memory *memory;

	if (was_one_of_several(dentry, inode))
		return copied(state_of_links(dentry, epoch));
	memory = memory_of(inode);
	state = remembered(memory, epoch, moves);
	if (state == STATE_UNKNOWN) {
		state = RESOLVE_DENTRY(dentry, epoch);
		remember(inode, memory, epoch, moves, state);
	}
	return settled(state);
}

static always_inline int decide_peer(struct sock *other)
{
	struct unix_sock *bound = unix_socket(other);
	struct dentry *dentry;
	struct ruling ruling;
	struct policy_set *set;

	if (!bound)
		return 0;
	dentry = FIELD(bound, path.dentry);
	if (!dentry || !address_of(dentry)) /* an abstract name, or none */
		return 0;
	set = find_path_set(&ruling);
	if (!set)
		return 0;
	return judge_name(&ruling, set, state_of_socket(dentry, ruling.epoch), OPERATION_WRITE, dentry);
}

PROGRAM(unix_stream_connect)(u64 *ctx)
{
	return decide_peer((void *)ctx[1]);
}

PROGRAM(unix_may_send)(u64 *ctx)
{
	struct sock *other = FIELD((struct socket *)ctx[1], sk);

	return other ? decide_peer(other) : 0;
}
