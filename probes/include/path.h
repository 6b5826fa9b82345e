/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From an object to the automaton's state after its path.
 *
 * The path is the dentry's, within its file system: it does not depend on the accessor's root or mounts. The walk goes
 * up to the nearest directory that remembers its state, or to a mount root of the container (an anchor, whose state
 * user space computed), and steps down again, remembering on the way.
 *
 * Fails closed: what cannot be resolved is STATE_UNKNOWN, and the set says what that means.
 */
#ifndef BULKHEAD_PATH_H
#define BULKHEAD_PATH_H

#include "automaton.h"
#include "memory.h"
#include "unanchored.h"

#define S_IFMT 0170000u
#define S_IFDIR 0040000u

#define STATE_PASSING 0x40000000u /* added to a state: see `kept` */

#define STATE_SILENT (STATE_SINK | OUTCOME_SILENT)

#define REMEMBERS_NOTHING 1u /* what is known of a leaf: its inode has no memory */

struct walk {
	struct dentry *leaf;
	struct dentry *parent; /* of the leaf */
	struct dentry *at;     /* on the way up, the next to look at; on the way down, the one stepped over last */
	u64 epoch;
	u64 moves;
	u64 state;
	u64 levels; /* from the leaf to where the walk up ended */
	u64 found;
	u64 kept; /* the directories that were stepped over are remembered */
};

/*
 * Nothing is remembered below a directory that is not: what lies below one that somebody moves is forgotten only where it
 * remembers something itself (relocate.bpf.c).
 */
static always_inline int is_passing(u64 state)
{
	return state < STATE_ELSEWHERE && state & STATE_PASSING;
}

static always_inline u64 settled(u64 state)
{
	return is_passing(state) ? state & ~(u64)STATE_PASSING : state;
}

/*
 * Whether there is something of a name. Asked of the address as a number: Linux 6.12 takes a hook's dentry to have an
 * inode always, so its verifier may drop the question, and reading a field of none would be a fault of the kernel's.
 */
static always_inline int exists(struct dentry *dentry)
{
	return address_of(FIELD(dentry, d_inode)) != 0;
}

#if HAVE_BPF_LSM

/* The number of a mount root that user space announced, or 0. `memory` is the inode's. */
static always_inline u32 anchor_of(struct dentry *dentry, struct inode_memory *memory)
{
	return memory ? memory->anchor : 0;
}

static always_inline int is_anchor(struct dentry *dentry, u64 known)
{
	return known != REMEMBERS_NOTHING && anchor_of(dentry, memory_of(FIELD(dentry, d_inode)));
}

#else

/* The same: user space does not know an inode's address. */
static always_inline u32 anchor_of(struct dentry *dentry, struct inode_memory *memory)
{
	struct inode *inode = FIELD(dentry, d_inode);
	struct link_key key = { .device = FIELD(FIELD(VIEW(dentry, dentry), d_sb), s_dev) };
	u32 *anchor;

	if (!exists(dentry) || !inode) /* see state_of_links() */
		return 0;
	key.inode = FIELD(inode, i_ino);
	anchor = map_lookup(MAP(numbered), &key);
	return anchor ? *anchor : 0;
}

static always_inline int is_anchor(struct dentry *dentry, u64 known)
{
	return anchor_of(dentry, 0);
}

#endif

/* bpf_loop callback, and called for the leaf: is the state after this dentry's path known? */
FUNCTION(walk_up)(u64 i, struct walk *w)
{
	struct dentry *dentry = w->at;
	struct dentry *parent = FIELD(dentry, d_parent);
	struct inode_memory *memory = memory_of(FIELD(dentry, d_inode));
	struct anchor_key key = { .epoch = w->epoch };
	u64 directory = memory ? recall(memory, memory->directories, w->epoch, w->moves) : 0;
	u32 *state;

	if (directory) {
		w->state = (u32)directory;
		w->found = 1;
		return 1;
	}
	key.anchor = anchor_of(dentry, memory);
	state = key.anchor ? map_lookup(MAP(anchors), &key) : 0;
	if (state) {
		w->state = *state;
		w->found = 1;
		return 1;
	}
	if (parent == dentry)
		return 1;
	w->at = parent;
	return 0;
}

#define WALK_UP(w) ((u64 (*)(u64, struct walk *))LINKED_WALK_UP)(0, w)

struct ancestor {
	struct dentry *dentry;
};

/* bpf_loop callback: one level up. */
FUNCTION(walk_ancestor)(u64 i, struct ancestor *a)
{
	a->dentry = FIELD(a->dentry, d_parent);
	return 0;
}

/* The directory so many levels above the leaf, one at least. */
static always_inline struct dentry *ancestor_of_leaf(struct walk *w, u64 above)
{
	struct ancestor a = { w->parent };

	if (above > 1)
		loop(above - 1, CALLBACK(LINKED_WALK_ANCESTOR), &a, 0);
	return a.dentry;
}

/* Room for a directory's memory. The directory may have been removed meanwhile: then nobody would free it. */
static always_inline struct inode_memory *room_on_directory(struct dentry *dentry, struct inode *inode)
{
	struct inode_memory *memory = new_memory_of(inode);

	if (!memory || *(struct inode *volatile *)FIELD_ADDRESS(dentry, d_inode) == inode)
		return memory;
	drop_memory(inode);
	return 0;
}

/* Remember a directory's state, from the second time on that it is passed. */
static always_inline struct inode_memory *note_directory(struct dentry *dentry, struct walk *w, u64 state)
{
	struct inode *inode = FIELD(dentry, d_inode);
	struct inode_memory *memory = memory_of(inode);

	if (!memory && seen_before(inode) && w->kept)
		memory = room_on_directory(dentry, inode);
	w->kept = w->kept && memory;
	if (!w->kept)
		return 0;
	note(memory, memory->directories, w->epoch << 32 | state, w->moves);
	return memory;
}

/*
 * bpf_loop callback: step over the name of the dentry that is `levels - 1 - i` above the leaf. It must still lie in the
 * directory that was stepped over before: else directories were moved meanwhile, and names of two paths would be mixed.
 */
FUNCTION(walk_down)(u64 i, struct walk *w)
{
	u64 above = w->levels - 1 - i;
	struct dentry *dentry = above ? ancestor_of_leaf(w, above) : VIEW(dentry, w->leaf);
	struct inode_memory *memory = 0;
	struct element e;
	u32 sequence, state;
	int moved;

	sequence = FIELD(dentry, d_seq.seqcount.sequence);
	moved = FIELD(VIEW(dentry, dentry), d_parent) != w->at;
	e.name = (u64)FIELD(dentry, d_name.name);
	e.bytes = FIELD(dentry, d_name.len);
	e.state = w->state;
	state = STEP(&e);
	if (above && state != STATE_UNKNOWN && !moved)
		memory = note_directory(dentry, w, state);
	if (moved || sequence & 1 || *(volatile u32 *)FIELD_ADDRESS(dentry, d_seq.seqcount.sequence) != sequence) {
		if (memory)
			tear(memory);
		count(STATISTIC_RENAME_RACED);
		state = STATE_UNKNOWN;
	}
	w->state = state;
	w->at = dentry;
	return state == STATE_UNKNOWN;
}

/* The leaf is looked at apart: verifiers search for what is followed out of a hook's own, and so do it once. */
static always_inline u64 resolve_whole(struct dentry *leaf, u64 epoch)
{
	struct walk w = {
		.leaf = leaf, .at = leaf, .epoch = epoch, .moves = moves_now(), .state = STATE_UNKNOWN, .kept = 1
	};

	if (!WALK_UP(&w)) {
		w.parent = w.at;
		w.levels = loop(PATH_LEVELS, CALLBACK(LINKED_WALK_UP), &w, 0);
	}
	if (!w.found) {
		if (w.levels < PATH_LEVELS)
			return state_without_anchor(w.at);
		count(STATISTIC_DEPTH_EXCEEDED);
		return STATE_UNKNOWN;
	}
	if (w.levels)
		loop(w.levels & (2 * PATH_LEVELS - 1), CALLBACK(LINKED_WALK_DOWN), &w, 0);
	return w.kept || w.state >= STATE_ELSEWHERE ? w.state : w.state | STATE_PASSING;
}

/*
 * The state that answers for a file with several names, under each of them, where user space found that a rule covers
 * one; STATE_UNKNOWN otherwise.
 */
static always_inline u64 state_of_links(struct dentry *leaf, u64 epoch)
{
	struct inode *inode = FIELD(leaf, d_inode);
	struct link_key key = {};
	u32 *state;

	if (!inode) /* `exists` has asked before; verifiers of later kernels want to see it */
		return STATE_UNKNOWN;
	if (FIELD(inode, i_nlink) < 2 || (FIELD(inode, i_mode) & S_IFMT) == S_IFDIR)
		return STATE_UNKNOWN;
	key.epoch = epoch;
	key.device = FIELD(FIELD(VIEW(dentry, leaf), d_sb), s_dev);
	key.inode = FIELD(inode, i_ino);
	state = map_lookup(MAP(links), &key);
	return state ? *state : STATE_UNKNOWN;
}

/* The state after the path of a dentry, which may be negative (a name about to be made). */
static always_inline u64 resolve_name(struct dentry *leaf, u64 epoch, u64 known_of_leaf)
{
	struct dentry *parent = FIELD(leaf, d_parent);
	struct inode_memory *known = memory_of(FIELD(parent, d_inode));
	struct element e;
	u64 directory = 0;
	u32 sequence, state;

	if (known && parent != leaf && !is_anchor(leaf, known_of_leaf))
		directory = recall(known, known->directories, epoch, moves_now());
	if (directory >> 32 != epoch)
		return resolve_whole(leaf, epoch);
	if (is_sink(directory)) /* whatever the name is */
		return (u32)directory;
	sequence = FIELD(leaf, d_seq.seqcount.sequence);
	e.name = (u64)FIELD(leaf, d_name.name);
	e.bytes = FIELD(leaf, d_name.len);
	e.state = directory;
	state = STEP(&e);
	if (sequence & 1 || FIELD(leaf, d_seq.seqcount.sequence) != sequence ||
	    FIELD(VIEW(dentry, leaf), d_parent) != parent) {
		count(STATISTIC_RENAME_RACED);
		return STATE_UNKNOWN;
	}
	return state;
}

/* The state that answers for a dentry: after its path, or, if not unknown, after the paths of all of its file's names. */
static always_inline u64 resolve_here(struct dentry *leaf, u64 epoch, u64 linked, u64 known)
{
	return copied(linked == STATE_UNKNOWN ? resolve_name(leaf, epoch, known) : linked);
}

/*
 * The same for hooks, whose name may be one about to be made. A function of its own, so that the verifier looks at it
 * once a program, or at least need not compare what they have at hand meanwhile.
 */
FUNCTION(resolve_dentry)(struct dentry *leaf, u64 epoch)
{
	return resolve_here(leaf, epoch, copied(exists(leaf) ? state_of_links(leaf, epoch) : STATE_UNKNOWN), 0);
}

#define RESOLVE_DENTRY(leaf, epoch) ((u32)((u64 (*)(struct dentry *, u64))LINKED_RESOLVE_DENTRY)(leaf, epoch))

static always_inline u64 resolve(struct dentry *leaf, u64 epoch)
{
	return settled(RESOLVE_DENTRY(leaf, epoch));
}

/*
 * The state after the path of an open file. A function of its own because what is read through `file->f_path` is not
 * trusted from Linux 7 on, where it sits in a union: there it is a global function whose parameter is declared trusted.
 */
FUNCTION(resolve_path)(const struct path *path, u64 epoch, u64 known)
{
	struct dentry *leaf;

	if (!path)
		return STATE_UNKNOWN;
	leaf = FIELD(path, dentry);
	return resolve_here(leaf, epoch, state_of_links(leaf, epoch), known);
}
#define RESOLVE_PATH(where, epoch, known)                                                                              \
	((u32)((u64 (*)(const struct path *, u64, u64))LINKED_RESOLVE_PATH)((void *)(where), epoch, known))

/* The same for a file that a hook was given, perhaps passing; once more where a rename may have got in between. */
static always_inline u64 resolve_open(struct file *file, u64 epoch, u64 known)
{
	u64 state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), epoch, known);

	if (state == STATE_UNKNOWN)
		state = RESOLVE_PATH(FIELD_ADDRESS(file, f_path), epoch, known);
	return state;
}

static always_inline u64 resolve_file(struct file *file, u64 epoch, u64 known)
{
	return settled(resolve_open(file, epoch, known));
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
	else if (state == STATE_NAMELESS || state == STATE_ELSEWHERE)
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
