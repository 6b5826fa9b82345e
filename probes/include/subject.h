/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who acts: the class that a set gives to the program that a process runs (abi.h, "Who acts").
 *
 * It is settled when the process executes, from the path of the file whose code it then runs (of a script that is the
 * interpreter), and kept on the process's first thread, so that its threads share it; a child begins with a copy. A
 * process that is older than the set, or than its mount table, has its class worked out once from the file that it
 * executed. Nothing here costs a set anything that does not ask who acts.
 */
#ifndef BULKHEAD_SUBJECT_H
#define BULKHEAD_SUBJECT_H

#include "path.h"

/* The argument of find_subject(). */
struct seeker {
	u64 epoch;
	u32 set;
	u32 pad;
};
_Static_assert(sizeof(struct seeker) == SEEKER_BYTES, "SEEKER_BYTES");

/* Null where nothing is kept of a process. Of most nothing is, and the helper takes eighty instructions to find that. */
static always_inline struct process_memory *process_of(struct task_struct *leader)
{
	if (!FIELD(VIEW(task_struct, leader), bpf_storage))
		return 0;
	return task_storage(MAP(processes), leader, 0, 0);
}

/* Write down who a process is from now on. Null where there is no room. */
static always_inline struct process_memory *remember_subject(struct task_struct *leader, u64 epoch, u32 subject,
                                                             u32 tainted)
{
	struct process_memory *memory = task_storage(MAP(processes), leader, 0, STORAGE_CREATE);

	if (!memory) {
		count(STATISTIC_MEMORY_FAILED);
		return 0;
	}
	memory->subject = epoch << 32 | subject;
	memory->tainted |= tainted;
	return memory;
}

/* What a subject is worth that may be tainted: who is none of the programs that rules name has nothing to lose. */
static always_inline u32 untrusted(u32 subject, struct process_memory *memory)
{
	if (memory->tainted & TAINTED_TRACED)
		return SUBJECT_UNKNOWN;
	if (memory->tainted & TAINTED_CODE && subject != SUBJECT_OTHER)
		return SUBJECT_UNKNOWN;
	return subject;
}

/* The subject that is kept of a process, or -1 where it is of another epoch. */
static always_inline int subject_kept(struct process_memory *memory, u64 epoch)
{
	u64 subject;

	if (memory->tainted & TAINTED_TRACED)
		return SUBJECT_UNKNOWN;
	subject = memory->subject;
	if (subject >> 32 != epoch)
		return -1;
	return untrusted(subject & (MAX_SUBJECTS - 1), memory);
}

/* What is kept of a process under an epoch, or -1. */
static always_inline int known_subject(struct task_struct *leader, u64 epoch)
{
	struct process_memory *memory = process_of(leader), copy = {};

	if (memory) {
		FOLLOWED(memory);
		return subject_kept(memory, epoch);
	}
	if (!copy_kept_in_list(&copy, sizeof(copy), FIELD(leader, bpf_storage), MAP(processes)))
		return -1;
	return subject_kept(&copy, epoch);
}

/* The class of a program whose file's path ends in `state`. */
static always_inline u32 subject_in(u64 state, struct policy_set *set)
{
	if (state == STATE_UNKNOWN || state == STATE_NESTED)
		return SUBJECT_UNKNOWN;
	return outcome_in(state, set)->program;
}

/*
 * The same of the program that the running process executed before it was looked at. In each program, so without what
 * makes resolve_file() fast, which the verifier would have to look at, too.
 */
static always_inline u32 subject_of_executable(struct task_struct *task, u64 epoch, struct policy_set *set)
{
	struct file *file = executable_of(task);
	struct dentry *dentry;
	u64 state;

	if (!file || FIELD(task, ptrace)) /* whoever traces it may have done so all along */
		return SUBJECT_UNKNOWN;
	dentry = FIELD(file, f_path.dentry);
	state = state_of_links(dentry, epoch);
	if (state == STATE_UNKNOWN)
		state = resolve_whole(dentry, epoch);
	return subject_in(copied(settled(state)), set);
}

/* A function of its own, so that it takes no room in every program. */
FUNCTION(find_subject)(struct seeker *who)
{
	struct task_struct *task = current_task_struct(), *leader = FIELD(task, group_leader);
	struct process_memory *memory;
	struct policy_set *set;
	u32 index, subject = SUBJECT_UNKNOWN;
	int known;

	FOLLOWED(leader);
	if (!who)
		return SUBJECT_UNKNOWN;
	known = known_subject(leader, who->epoch);
	if (known >= 0)
		return known;
	index = who->set;
	set = map_lookup(MAP(sets), &index);
	if (set)
		subject = subject_of_executable(task, who->epoch, set);
	if (subject == SUBJECT_UNKNOWN)
		return subject;
	memory = remember_subject(leader, who->epoch, subject, 0);
	return memory ? untrusted(subject, memory) : subject;
}
#define FIND_SUBJECT(who) ((u32)((u64 (*)(struct seeker *))LINKED_FIND_SUBJECT)(who))

/* The entry of a set for the running process; `ruling` is the process's, `known` what is known of it, or -1. */
static always_inline struct policy_set *set_for_known(struct ruling *ruling, int known)
{
	struct seeker who = { .epoch = ruling->epoch, .set = ruling->set };

	if (known < 0)
		known = FIND_SUBJECT(&who);
	if (known == SUBJECT_UNKNOWN)
		ruling->flags |= RECORD_SUBJECT_UNKNOWN;
	return set_for(ruling, known);
}

static always_inline struct policy_set *set_for_current(struct ruling *ruling, struct policy_set *set)
{
	if (!(set->flags & SET_HAS_SUBJECTS))
		return set;
	return set_for_known(ruling, known_subject(FIELD(current_task_struct(), group_leader), ruling->epoch));
}

/* A container's set where it has some of `flags`, else null; and the container's ruling. */
static always_inline struct policy_set *set_with(u64 container, struct ruling *ruling, u32 flags)
{
	struct policy_set *set = ruling_in(container, ruling) ? set_of(ruling) : 0;

	return set && set->flags & flags ? set : 0;
}

/* The set by which the running process is judged; null where it has none of `flags`. `container` is the process's. */
static always_inline struct policy_set *set_in(u64 container, struct ruling *ruling, u32 flags)
{
	struct policy_set *set = set_with(container, ruling, flags);

	return set ? set_for_current(ruling, set) : 0;
}

/* The running process's ruling, and the set by which it is judged. */
static always_inline struct policy_set *current_set_with(struct ruling *ruling, u32 flags)
{
	return set_in(current_container(), ruling, flags);
}

/* The same for hooks that are not called often. */
static always_inline struct policy_set *find_set_with(struct ruling *ruling, u32 flags)
{
	struct policy_set *set = set_with(FIND_CONTAINER(), ruling, flags);

	return set && set->flags & SET_HAS_SUBJECTS ? set_for_known(ruling, -1) : set;
}

static always_inline struct policy_set *find_path_set(struct ruling *ruling)
{
	return find_set_with(ruling, SET_HAS_PATHS);
}

#endif
