/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where a file that is executed comes from: the container's image, written since, or no path at all.
 *
 * User space says in the map `layers` which file systems hold the image. Where the container's root is an overlay of its
 * own, the image is what lies in the lower layers only: a file that has a part in the upper one was written. Anywhere
 * else it is what was there when the container came under a policy: neither changed since, by the inode's own time of
 * change, which no system call sets, nor opened for writing since by a process under policy, which holds where that
 * time does not (a clock set back, a mapping of tmpfs). A file system that is not in the map holds nothing of the image.
 * The node itself has no image, and everything with a path counts as of it.
 */
#ifndef BULKHEAD_PROVENANCE_H
#define BULKHEAD_PROVENANCE_H

#include "path.h"

#define NS_PER_S 1000000000ull
#define CTIME_NS_MASK 0x3fffffffu /* from 6.13 on flags are above */

/*
 * Whether an inode of an overlay has a part in the upper layer. struct ovl_inode is not among the kernel's own types;
 * the pointer to the upper dentry follows its struct inode, which bulkhead.kernel.overlay checks. Only ever null or not.
 */
static always_inline int is_in_upper_layer(struct inode *inode)
{
	u64 upper = 0;

	if (read_kernel(&upper, sizeof(upper), address_of(inode) + sizeof(struct inode)))
		return 1;
	return upper != 0;
}

/* Whether a file was changed since. Times of change are rounded down to what the file system can keep. */
static always_inline int is_written(struct inode *inode, struct layer *layer)
{
	struct writing *writing = writing_of(inode);
	u64 grain = FIELD(FIELD(VIEW(inode, inode), i_sb), s_time_gran), changed_ns;

	if (writing && writing->boottime_ns >= layer->since_boottime_ns)
		return 1;
	if (!grain)
		return 1;
	changed_ns = FIELD(inode, ctime_s) * NS_PER_S + (FIELD(inode, ctime_ns) & CTIME_NS_MASK);
	return changed_ns >= layer->since_ns - layer->since_ns % grain;
}

/* Whether it matters: to rules on executing, or to who maps a library. */
static always_inline int asks_provenance(struct policy_set *set)
{
	return set->flags & (SET_HAS_PROVENANCE | SET_HAS_SUBJECTS);
}

static always_inline int is_of_image(struct ruling *ruling, struct inode *inode)
{
	struct layer_key key = { .container = ruling->container,
		                 .device = FIELD(FIELD(VIEW(inode, inode), i_sb), s_dev) };
	struct layer *layer = map_lookup(MAP(layers), &key);

	if (!layer)
		return is_of_node(ruling->container);
	return layer->kind == LAYER_KIND_OVERLAY ? !is_in_upper_layer(inode) : !is_written(inode, layer);
}

/* Which answer of an outcome is about executing this file. */
static always_inline u32 question_of_exec(struct ruling *ruling, struct policy_set *set, u64 state, struct inode *inode)
{
	if (!asks_provenance(set))
		return OPERATION_EXEC;
	if (state == STATE_NAMELESS || !FIELD(inode, i_nlink))
		return QUESTION_EXEC_FILELESS;
	return is_of_image(ruling, inode) ? OPERATION_EXEC : QUESTION_EXEC_WRITTEN;
}

/* Remember that a file is open for writing, where that will matter. */
static always_inline void note_writing(struct policy_set *set, struct inode *inode)
{
	struct writing *writing;

	if (!asks_provenance(set))
		return;
	writing = new_writing(inode);
	if (writing)
		writing->boottime_ns = boot_time_ns();
	else
		count(STATISTIC_MEMORY_FAILED);
}

/*
 * The kernel opens a program, or the loader that a program names, for which no other hook comes before the point of no
 * return. A loader is judged as a library is. What is let through here is judged, and reported, by the hooks that follow.
 */
static always_inline u64 decide_open_of_program(struct ruling *ruling, struct policy_set *set, u64 state,
                                                struct file *file, u32 *flags)
{
	struct inode *inode = FIELD(file, f_inode);
	u32 question = question_of_exec(ruling, set, state, inode);
	u64 decision;

	if (FIELD(FIELD(VIEW(file, file), f_path.dentry), d_inode) !=
	    inode) /* an overlay opens the file below, with its own path */
		return 0;
	decision = decision_in(state, set, question == OPERATION_EXEC ? QUESTION_LIBRARY : question, flags);
	return blocks(decision) ? decision : 0;
}

#endif
