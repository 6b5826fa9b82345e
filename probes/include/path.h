/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an object to the automaton's state after its path.
 *
 * The path is the dentry's, within its file system: it does not depend on the accessor's root or mounts. The walk goes
 * up to the nearest directory that remembers its state, or to a mount root of the container (an anchor, whose state
 * user space computed), and steps down again, remembering on the way. What an inode remembers is tagged with the epoch
 * of (container, set, mount table), so that a new policy forgets everything by being another epoch.
 *
 * Fails closed: what cannot be resolved is STATE_UNKNOWN, and the set says what that means.
 */
#ifndef BULKHEAD_PATH_H
#define BULKHEAD_PATH_H

#include "automaton.h"
#include "ruling.h"

#define S_IFMT 0170000u
#define S_IFDIR 0040000u
#define SB_KERNMOUNT (1ul << 22)
#define SB_NOUSER (1ul << 31)

static always_inline struct inode_memory *memory_of(struct inode *inode)
{
	return inode_storage(MAP(inodes), inode, 0, 0);
}

static always_inline struct inode_memory *new_memory_of(struct inode *inode)
{
	struct inode_memory *memory = inode_storage(MAP(inodes), inode, 0, STORAGE_CREATE);

	if (!memory)
		count(STATISTIC_MEMORY_FAILED);
	return memory;
}

struct walk {
	struct dentry *leaf;
	struct dentry *at;
	u64 epoch;
	u64 state;
	u64 levels; /* between the leaf and where the walk up ended */
	u64 found;
};

/* bpf_loop callback: is the state after this dentry's path known? */
FUNCTION(walk_up)(u64 i, struct walk *w)
{
	struct dentry *dentry = w->at;
	struct dentry *parent = FIELD(dentry, d_parent);
	struct inode_memory *memory = memory_of(FIELD(dentry, d_inode));
	struct anchor_key key;
	u64 directory;
	u32 *state;

	if (memory) {
		directory = memory->directory;
		if (directory >> 32 == w->epoch) {
			w->state = (u32)directory;
			w->found = 1;
			return 1;
		}
		key.epoch = w->epoch;
		key.anchor = memory->anchor;
		state = key.anchor ? map_lookup(MAP(anchors), &key) : 0;
		if (state) {
			w->state = *state;
			w->found = 1;
			return 1;
		}
	}
	if (parent == dentry)
		return 1;
	w->at = parent;
	return 0;
}

struct ancestor {
	struct dentry *dentry;
};

/* bpf_loop callback: one level up. */
FUNCTION(walk_ancestor)(u64 i, struct ancestor *a)
{
	a->dentry = FIELD(a->dentry, d_parent);
	return 0;
}

/* bpf_loop callback: step over the name of the dentry that is `levels - 1 - i` above the leaf. */
FUNCTION(walk_down)(u64 i, struct walk *w)
{
	u64 above = w->levels - 1 - i;
	struct ancestor a = { w->leaf };
	struct inode_memory *memory;
	struct element e;
	u32 sequence, state;

	if (above)
		loop(above, CALLBACK(LINKED_WALK_ANCESTOR), &a, 0);
	sequence = FIELD(a.dentry, d_seq.seqcount.sequence);
	e.name = (u64)FIELD(a.dentry, d_name.name);
	e.bytes = FIELD(a.dentry, d_name.len);
	e.state = w->state;
	state = STEP(&e);
	if (sequence & 1 || FIELD(a.dentry, d_seq.seqcount.sequence) != sequence) {
		count(STATISTIC_RENAME_RACED);
		state = STATE_UNKNOWN;
	}
	w->state = state;
	if (state == STATE_UNKNOWN)
		return 1;
	if (above) {
		memory = new_memory_of(FIELD(a.dentry, d_inode));
		if (memory)
			memory->directory = w->epoch << 32 | state;
	}
	return 0;
}

/*
 * No mount of the container leads to this file system. Either it is one that nobody can name, or a file system looks
 * at its own lower layer (with credentials of its own), or it is a mount that user space has not announced yet.
 */
static always_inline u64 state_without_anchor(struct dentry *root)
{
	struct task_struct *task = current_task_struct();
	unsigned long flags = FIELD(FIELD(root, d_sb), s_flags);

	if (flags & (SB_KERNMOUNT | SB_NOUSER))
		return STATE_NAMELESS;
	if (FIELD(task, cred) != FIELD(task, real_cred))
		return STATE_NESTED;
	count(STATISTIC_UNKNOWN_MOUNT);
	return STATE_UNKNOWN;
}

static always_inline u64 resolve_whole(struct dentry *leaf, u64 epoch)
{
	struct walk w = { .leaf = leaf, .at = leaf, .epoch = epoch, .state = STATE_UNKNOWN };
	u64 visited = loop(PATH_LEVELS, CALLBACK(LINKED_WALK_UP), &w, 0);

	if (!w.found) {
		if (visited < PATH_LEVELS)
			return state_without_anchor(w.at);
		count(STATISTIC_DEPTH_EXCEEDED);
		return STATE_UNKNOWN;
	}
	w.levels = visited - 1;
	if (visited > 1)
		loop(w.levels & (2 * PATH_LEVELS - 1), CALLBACK(LINKED_WALK_DOWN), &w, 0);
	return w.state;
}

/* The state after the path of a dentry, which may be negative (a name about to be made). */
static always_inline u64 resolve(struct dentry *leaf, u64 epoch)
{
	struct dentry *parent = FIELD(leaf, d_parent);
	struct inode_memory *own = memory_of(FIELD(leaf, d_inode));
	struct inode_memory *known = memory_of(FIELD(parent, d_inode));
	struct element e;
	u64 directory = 0;
	u32 sequence, state;

	if (known && parent != leaf && !(own && own->anchor))
		directory = known->directory;
	if (directory >> 32 != epoch)
		return resolve_whole(leaf, epoch);
	sequence = FIELD(leaf, d_seq.seqcount.sequence);
	e.name = (u64)FIELD(leaf, d_name.name);
	e.bytes = FIELD(leaf, d_name.len);
	e.state = directory;
	state = STEP(&e);
	if (sequence & 1 || FIELD(leaf, d_seq.seqcount.sequence) != sequence || FIELD(leaf, d_parent) != parent) {
		count(STATISTIC_RENAME_RACED);
		return STATE_UNKNOWN;
	}
	return state;
}

/*
 * The state after the path of an open file. A function of its own because what is read through `file->f_path` is not
 * trusted from Linux 7 on, where it sits in a union: there it is a global function whose parameter is declared trusted.
 */
FUNCTION(resolve_path)(const struct path *path, u64 epoch)
{
	if (!path)
		return STATE_UNKNOWN;
	return resolve(FIELD(path, dentry), epoch);
}
#define RESOLVE_PATH(where, epoch)                                                                                     \
	((u32)((u64 (*)(const struct path *, u64))LINKED_RESOLVE_PATH)((void *)(where), epoch))

/* The same for a file that a hook was given; once more where a rename may have got in between. */
static always_inline u64 resolve_file(struct file *file, u64 epoch)
{
	u64 state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), epoch);

	if (state == STATE_UNKNOWN)
		state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), epoch);
	return state;
}

/* The running process's ruling and policy set; null where nothing is said about paths. */
static always_inline struct policy_set *current_path_set(struct ruling *ruling)
{
	struct policy_set *set;

	if (!current_ruling(ruling))
		return 0;
	set = set_of(ruling);
	return set && set->flags & SET_HAS_PATHS ? set : 0;
}

/* What a state answers; never null. The set's own answer where the path could not be resolved. */
static always_inline struct outcome *outcome_in(u64 state, struct policy_set *set)
{
	struct outcome *outcome;
	u32 index;

	if (state == STATE_UNKNOWN)
		return &set->unresolved;
	if (state == STATE_NESTED)
		index = OUTCOME_SILENT;
	else if (state == STATE_NAMELESS)
		index = set->nameless;
	else
		index = outcome_of(state);
	if (index != OUTCOME_SILENT)
		index += set->subject;
	outcome = map_lookup(MAP(outcomes), &index);
	return outcome ? outcome : &set->unresolved;
}

/* The decision about one operation in a state, and what to tell about how it came about. */
static always_inline u64 decision_in(u64 state, struct policy_set *set, u32 operation, u32 *flags)
{
	if (state == STATE_UNKNOWN)
		*flags |= RECORD_UNRESOLVED;
	return outcome_in(state, set)->decisions[operation];
}

#endif
